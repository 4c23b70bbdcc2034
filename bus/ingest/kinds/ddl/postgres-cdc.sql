-- Replikasi logis untuk Simpul, PostgreSQL 10 atau lebih baru. / Logical replication for Simpul, PostgreSQL 10 or newer.
--
-- Dalam postgresql.conf, lalu mulai ulang server: / in postgresql.conf, then restart the server:
--   wal_level = logical
--   max_slot_wal_keep_size = 8GB     -- PostgreSQL 13+: melindungi disk juga saat Simpul mati / guards the disk while Simpul is down, too
--
-- Setiap tabel perlu kunci primer. REPLICA IDENTITY FULL perlu bila kolom teks panjang (TOAST, > 2 kB) ikut dibaca.
-- Every table needs a primary key. REPLICA IDENTITY FULL is needed where long columns (TOAST, > 2 kB) are read.
--   ALTER TABLE public.contoh REPLICA IDENTITY FULL;

CREATE PUBLICATION bus FOR TABLE {table};
CREATE ROLE simpul LOGIN REPLICATION PASSWORD '…';
GRANT SELECT ON {table} TO simpul;

-- Bila Simpul tidak dipakai lagi, buang slotnya, atau disk akan penuh. / When Simpul is no longer used drop its slot, or the disk fills up.
--   SELECT slot_name FROM pg_replication_slots; SELECT pg_drop_replication_slot('bus_…');
