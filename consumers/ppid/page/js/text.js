// What the page says, in Indonesian and in English.

const TEXTS = {
  skip: ["Langsung ke isi", "Skip to content"],
  tagline: ["Data terbuka PPID", "Open data of the PPID"],
  nav: ["Navigasi utama", "Main navigation"],
  datasets: ["Dataset", "Datasets"],
  dip: ["Daftar Informasi Publik", "List of public information"],
  changelog: ["Catatan perubahan", "Change log"],
  footer: ["Setiap angka membawa posisi log dari kejadian pembentuknya dan dapat dihitung ulang.", "Every number carries the log positions of the events that made it, and can be recomputed."],
  lead: ["Tabel resmi perangkat daerah, dengan semua edisi lama, metadata Satu Data, dan bukti setiap angka.", "Official tables of the agencies, with every earlier edition, Satu Data metadata, and the proof of each number."],
  search: ["Cari judul, definisi, atau perangkat daerah", "Search titles, definitions or agencies"],
  agency: ["Perangkat daerah", "Agency"],
  class: ["Kategori informasi", "Class of information"],
  found: ["{n} dataset", "{n} datasets"],
  none: ["Tidak ada dataset yang cocok.", "No dataset matches."],
  nothing: ["Belum ada dataset yang diumumkan.", "No dataset has been published yet."],
  rows: ["{n} baris", "{n} rows"],
  released: ["rilis {n}", "released {n}"],
  failed: ["Data tidak dapat dibaca: {n}", "The data cannot be read: {n}"],
  old: ["Ini edisi lama. ", "This is an earlier edition. "],
  newest: ["Buka edisi terbaru", "Open the newest edition"],
  chart: ["Grafik", "Chart"],
  chartAbout: ["Grafik nilai menurut waktu; angkanya ada dalam tabel.", "Chart of the values over time; the numbers are in the table."],
  preview: ["Pratinjau", "Preview"],
  previewOf: ["{n} baris terbaru dari {m}; selebihnya dalam berkas.", "The newest {n} rows of {m}; the rest is in the files."],
  withheld: ["ditahan", "withheld"],
  withheldWhy: ["{n} baris ditahan untuk melindungi orang: jumlahnya terlalu kecil, atau dapat mengungkap yang kecil.", "{n} rows are withheld to protect people: they are too few, or would reveal those that are."],
  metadata: ["Metadata Satu Data", "Satu Data metadata"],
  konsep: ["Konsep", "Concept"], definisi: ["Definisi", "Definition"], rumus: ["Rumus", "Formula"], satuan: ["Satuan", "Unit"],
  ukuran: ["Ukuran", "Measure"], klasifikasi: ["Klasifikasi", "Classification"], produsen_data: ["Produsen data", "Producer"], interpretasi: ["Interpretasi", "Interpretation"],
  licence: ["Lisensi", "Licence"], version: ["Versi definisi", "Version of the definition"], event: ["Dihitung dari", "Computed from"],
  downloads: ["Unduhan", "Downloads"],
  beside: ["Paket data, asal-usul, dan jumlah periksa", "Data package, provenance and checksums"],
  vintages: ["Edisi", "Editions"],
  vintageAbout: ["Apa isi tabel ini pada tanggal lain?", "What did this table say on another day?"],
  api: ["Contoh API", "API examples"],
  asOf: ["Tabel pada 1 Maret 2026", "The table as of 1 March 2026"],
  datastore: ["Baris lewat API CKAN", "Rows by the CKAN API"],
  standards: ["Metadata untuk mesin", "Metadata for machines"],
  history: ["Riwayat di gerbang walidata", "History at the walidata gate"],
  csv: ["Unduh CSV", "Download CSV"],
  dipLead: ["Informasi yang diumumkan PPID menurut UU 14/2008; baris dibuat otomatis dari dataset yang terbit.", "What the PPID publishes under Law 14/2008; rows come from the published datasets."],
  changeLead: ["Setiap langkah di gerbang walidata: konsep, diperiksa, terbit, atau dikembalikan dengan catatan.", "Every step at the walidata gate: draft, checked, published, or returned with a note."],
  when: ["Waktu", "When"], dataset: ["Dataset", "Dataset"], step: ["Langkah", "Step"], by: ["Oleh", "By"], note: ["Catatan", "Note"],
  draft: ["konsep", "draft"], checked: ["diperiksa", "checked"], published: ["terbit", "published"], returned: ["dikembalikan", "returned"],
  theme: ["Ganti tema terang atau gelap", "Switch between light and dark"],
};
const KEY = "simpul.language";
let language = localStorage.getItem(KEY) === "en" ? "en" : "id";

export const current = () => language;
export const t = (key, values = {}) => Object.entries(values).reduce((text, [name, value]) => text.replace(`{${name}}`, value), TEXTS[key]?.[language === "en" ? 1 : 0] ?? key);
export const choose = (next) => { language = next; localStorage.setItem(KEY, next); };
const locale = () => (language === "en" ? "en-GB" : "id-ID");
export const number = (value) => (value === null || value === undefined ? "–" : Number(value).toLocaleString(locale(), { maximumFractionDigits: 6 }));
export const day = (moment) => new Date(moment).toLocaleString(locale(), { dateStyle: "medium", timeStyle: "short", timeZone: "Asia/Jakarta" });
