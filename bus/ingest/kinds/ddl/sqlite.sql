-- Kotak keluar (outbox) untuk Simpul, SQLite 3.9 atau lebih baru. / Outbox for Simpul, SQLite 3.9 or newer.
--
-- Sisipkan satu baris dalam transaksi yang sama dengan perubahan datanya.
-- Insert one row in the same transaction as the change that it tells of.
--   op       CREATE, CORRECT (isi baru lengkap / the whole new content), CANCEL (cukup kunci / the key is enough)
--   payload  satu objek JSON / one JSON object
-- Kolom id dan made_at diisi oleh basis data, taken_at diisi oleh Simpul. / The database fills id and made_at, Simpul fills taken_at.
-- Baris dengan taken_at boleh dihapus kapan saja, baris lain jangan. / Rows with taken_at may be deleted at any time, others not.

CREATE TABLE {table} (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    op       TEXT NOT NULL DEFAULT 'CREATE' CHECK (op IN ('CREATE', 'CORRECT', 'CANCEL')),
    payload  TEXT NOT NULL CHECK (json_valid(payload)),
    made_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    taken_at TEXT
);
CREATE INDEX {index}_untaken ON {table} (id) WHERE taken_at IS NULL;
