-- The views that BPKAD makes on its copy of SIPD-RI, for a user who may read nothing else. Names of tables and columns on the right are
-- those seen in SIPD-RI's exports and have to be compared with the copy. Payees, their banks and the numbers of SP2D are not in the views.
-- Budget and plan are made before their year and month begin, and the bus refuses what has not begun: they show, as changed, when it does.
CREATE VIEW bus_pagu AS
SELECT tahun, kode_skpd, kode_program, kode_giat, kode_sub_giat, nilai, deleted_at,
       greatest(updated_at, make_timestamptz(tahun, 1, 1, 0, 0, 0, 'Asia/Jakarta')) AS updated_at
FROM anggaran_sub_giat
WHERE make_timestamptz(tahun, 1, 1, 0, 0, 0, 'Asia/Jakarta') <= now();

CREATE VIEW bus_rak AS
SELECT tahun, bulan, kode_skpd, kode_program, kode_giat, kode_sub_giat, nilai_rak, deleted_at,
       greatest(updated_at, make_timestamptz(tahun, bulan, 1, 0, 0, 0, 'Asia/Jakarta')) AS updated_at
FROM rak_sub_giat
WHERE make_timestamptz(tahun, bulan, 1, 0, 0, 0, 'Asia/Jakarta') <= now();

-- One line for each sub kegiatan that an SP2D pays.
CREATE VIEW bus_sp2d AS
SELECT d.id_sp_2_d_detail, h.tahun, h.tanggal_sp_2_d, h.jenis_sp_2_d, h.jenis_ls_sp_2_d, h.is_verifikasi_sp_2_d,
       h.is_transfer_sp_2_d, h.tanggal_transfer, h.kode_skpd, d.kode_program, d.kode_giat, d.kode_sub_giat, d.nilai AS nilai_sp_2_d,
       coalesce(d.deleted_at, h.deleted_at) AS deleted_at, greatest(d.updated_at, h.updated_at) AS updated_at
FROM sp_2_d AS h JOIN sp_2_d_detail AS d ON d.id_sp_2_d = h.id_sp_2_d;
