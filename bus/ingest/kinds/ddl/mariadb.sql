-- Kotak keluar (outbox) untuk Simpul, MariaDB 10.2 / MySQL 5.7 atau lebih baru. / Outbox for Simpul, MariaDB 10.2 / MySQL 5.7 or newer.
--
-- Sisipkan satu baris dalam transaksi yang sama dengan perubahan datanya, SESUDAH perubahan itu.
-- Insert one row in the same transaction as the change that it tells of, AFTER that change.
--   op       CREATE, CORRECT (isi baru lengkap / the whole new content), CANCEL (cukup kunci / the key is enough)
--   payload  satu objek JSON / one JSON object
-- Kolom id dan made_at diisi oleh basis data, taken_at diisi oleh Simpul. / The database fills id and made_at, Simpul fills taken_at.
-- Baris dengan taken_at boleh dihapus kapan saja, baris lain jangan. / Rows with taken_at may be deleted at any time, others not.
-- InnoDB itu wajib: mesin lain tidak mengenal transaksi. / InnoDB is a must: other engines know no transactions.

CREATE TABLE {table} (
    id       BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    op       ENUM('CREATE', 'CORRECT', 'CANCEL') NOT NULL DEFAULT 'CREATE',
    payload  JSON NOT NULL,
    made_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    taken_at DATETIME(6) NULL,
    INDEX untaken (taken_at, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Hak untuk pengguna Simpul / rights of Simpul's user:
--   GRANT SELECT, UPDATE (taken_at) ON {table} TO simpul;      -- after = "mark"
--   GRANT SELECT, DELETE ON {table} TO simpul;                 -- after = "delete"
