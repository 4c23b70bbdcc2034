// All words of the page, Indonesian first. Nothing here knows the page's structure.

const TEXTS = {
  id: {
    skip: "Langsung ke isi", tagline: "Angka yang dapat dibuktikan", search: "Cari indikator",
    footer: "Setiap angka membawa posisi log dari peristiwa pembentuknya dan dapat dihitung ulang.",
    connecting: "Menghubungkan…", live: "Langsung", stale: "Kafka tidak menjawab", lost: "Sambungan terputus",
    lostNotice: "Sambungan ke server terputus. Angka di bawah adalah keadaan terakhir; halaman menyambung kembali dengan sendirinya.",
    staleNotice: "Server tersambung, tetapi Kafka tidak menjawab. Angka di bawah adalah keadaan terakhir yang diketahui.",
    theme: "Tema: ", auto: "mengikuti sistem", light: "terang", dark: "gelap", all: "Semua", period: "Jangka waktu",
    windows: { "15m": "15 menit", "1h": "per jam", "1d": "harian", "1w": "mingguan", "1mo": "bulanan", "1q": "triwulanan", "6mo": "per semester", "1y": "tahunan", now: "keadaan sekarang" },
    current: "terkini", now: "Keadaan sekarang", closing: "keadaan akhir", of: (heard, expected) => `${heard} dari ${expected}`,
    complete: (heard, expected) => `${heard} dari ${expected} pelapor sudah terdengar pada jangka ini`, reporters: "Pelapor terdengar",
    changes: { fresh: "baru", late: "terlambat", corrected: "dikoreksi", withdrawn: "ditarik" },
    off: "Batas galat taksiran", aged: "Umur dihitung pada", standing: "Sebutan", madeOf: "Dihitung dari", of_: "Indikator", version_: (n) => `versi ${n}`,
    levels: { kabupaten: "Kab.", kota: "Kota", kecamatan: "Kec.", desa: "Desa", kelurahan: "Kel." }, spans: ["hari", "jam", "menit"],
    matches: { matched: () => "cocok", conflicting: () => "berbeda", only_left: (l) => `hanya di ${l}`, only_right: (_, r) => `hanya di ${r}` },
    quarter: "Triwulan", semester: "Semester", whole: "Seluruhnya", none: "(tanpa nilai)", by: "menurut",
    provisional: "sementara", final: "final", revision: "rev", events: "n",
    before: "Jangka sebelumnya", after: "Jangka berikutnya", newest: "Terbaru",
    noValue: "Belum ada nilai.", noCell: "Tidak ada nilai pada jangka ini.",
    more: (n) => `Tampilkan ${n} lainnya`, less: "Ringkas",
    summary: (i, c) => `${i} indikator · ${c} nilai`, count: (n) => `${n} indikator`,
    nothing: "Belum ada indikator. Hubungkan instansi dan angka akan muncul di sini.", noMatch: "Tidak ada indikator yang cocok.",
    loading: "Memuat…", failed: "Bukti tidak dapat dimuat: ", close: "Tutup", copy: "Salin", copied: "Tersalin",
    proof: "Bukti", exact: "Nilai tepat", fraction: "Pembilang / penyebut", entered: "Peristiwa masuk (n)", revised: "Revisi", status: "Status",
    version: "Versi definisi", print: "Sidik definisi", heard: "Terdengar sampai", source: "Sumber", until: "sampai",
    evidence: "Dibuat dari peristiwa sampai posisi log ini", topic: "Topik", partition: "Partisi", offset: "Offset",
    verify: "Hitung ulang dan bandingkan sendiri", open: (what) => `Bukti: ${what}`, change: (label, value) => `${label}: ${value}`,
  },
  en: {
    skip: "Skip to content", tagline: "Numbers that can be proven", search: "Search indicators",
    footer: "Every number carries the log positions of the events it was made of, and can be recomputed.",
    connecting: "Connecting…", live: "Live", stale: "Kafka does not answer", lost: "Connection lost",
    lostNotice: "The connection to the server is lost. The numbers below are the last known; the page reconnects by itself.",
    staleNotice: "The server is there, but Kafka does not answer. The numbers below are the last known.",
    theme: "Theme: ", auto: "as the system", light: "light", dark: "dark", all: "All", period: "Period",
    windows: { "15m": "15 minutes", "1h": "hourly", "1d": "daily", "1w": "weekly", "1mo": "monthly", "1q": "quarterly", "6mo": "half-yearly", "1y": "yearly", now: "current state" },
    current: "current", now: "Current state", closing: "closing state", of: (heard, expected) => `${heard} of ${expected}`,
    complete: (heard, expected) => `${heard} of ${expected} reporters have been heard of in this period`, reporters: "Reporters heard of",
    changes: { fresh: "new", late: "late", corrected: "corrected", withdrawn: "withdrawn" },
    off: "Bound on the estimate's error", aged: "Ages counted to", standing: "Label", madeOf: "Computed from", of_: "Indicator", version_: (n) => `version ${n}`,
    levels: { kabupaten: "Kab.", kota: "Kota", kecamatan: "Kec.", desa: "Desa", kelurahan: "Kel." }, spans: ["days", "hours", "minutes"],
    matches: { matched: () => "matched", conflicting: () => "conflicting", only_left: (l) => `only in ${l}`, only_right: (_, r) => `only in ${r}` },
    quarter: "Quarter", semester: "Half-year", whole: "All", none: "(no value)", by: "by",
    provisional: "provisional", final: "final", revision: "rev", events: "n",
    before: "Earlier period", after: "Later period", newest: "Newest",
    noValue: "No values yet.", noCell: "No value in this period.",
    more: (n) => `Show ${n} more`, less: "Show fewer",
    summary: (i, c) => `${i} indicators · ${c} values`, count: (n) => `${n} indicators`,
    nothing: "No indicators yet. Connect an agency and its numbers appear here.", noMatch: "No indicator matches.",
    loading: "Loading…", failed: "The evidence cannot be loaded: ", close: "Close", copy: "Copy", copied: "Copied",
    proof: "Evidence", exact: "Exact value", fraction: "Numerator / denominator", entered: "Events in it (n)", revised: "Revision", status: "Status",
    version: "Definition version", print: "Definition fingerprint", heard: "Heard until", source: "Source", until: "until",
    evidence: "Made of the events up to these log positions", topic: "Topic", partition: "Partition", offset: "Offset",
    verify: "Recompute and compare it yourself", open: (what) => `Evidence: ${what}`, change: (label, value) => `${label}: ${value}`,
  },
};

let language = "id";

export function setLanguage(code) {
  language = code in TEXTS ? code : "id";
  document.documentElement.lang = language;
}

export const currentLanguage = () => language;
export const locale = () => (language === "id" ? "id-ID" : "en-GB");
export const t = (key) => TEXTS[language][key];
export const windowName = (code) => TEXTS[language].windows[code] ?? code;
/** A title given in several languages, in the current one if there is such. */
export const inLanguage = (titles) => titles[language] ?? titles.id ?? Object.values(titles)[0] ?? "";
