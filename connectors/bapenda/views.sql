-- The views that Bapenda makes on its copy of SISMIOP, for a user who may read nothing else. Names and addresses of taxpayers are not in them.
-- The columns `diubah` and `batal` are not SISMIOP's own: the copy keeps them.
CREATE VIEW bus_sppt AS
SELECT kd_propinsi || kd_dati2 || kd_kecamatan || kd_kelurahan || kd_blok || no_urut || kd_jns_op AS nop,
       kd_kecamatan, kd_kelurahan, thn_pajak_sppt, pbb_yg_harus_dibayar_sppt, tgl_terbit_sppt, tgl_jatuh_tempo_sppt, status_pembayaran_sppt, diubah
FROM sppt;

CREATE VIEW bus_pembayaran_sppt AS
SELECT kd_propinsi || kd_dati2 || kd_kecamatan || kd_kelurahan || kd_blok || no_urut || kd_jns_op AS nop,
       kd_kecamatan, kd_kelurahan, thn_pajak_sppt, pembayaran_sppt_ke, tgl_pembayaran_sppt, jml_sppt_yg_dibayar, denda_sppt, batal, diubah
FROM pembayaran_sppt;
