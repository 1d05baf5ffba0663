/** The icons of the dashboard, drawn on a grid of 16; decorative, so a control next to them must be named. */
const PATHS = {
  check: "M3.5 8.5l3 3 6-7",
  comment: "M2.5 3.5h11v7.5h-6L4.5 13.5V11h-2z",
  cross: "M4.5 4.5l7 7M11.5 4.5l-7 7",
  copy: "M5.5 5.5h7v8h-7zM3.5 10.5v-8h7",
  columns: "M2.5 3.5h11v9h-11zM6.2 3.5v9M9.8 3.5v9",
  up: "M8 13V3.5M4 7.5L8 3.5l4 4",
  down: "M8 3v9.5M4 8.5l4 4 4-4",
  file: "M4 2.5h5l3 3v8H4zM9 2.5v3h3",
  folder: "M2.5 4h4l1.5 1.5h5.5v7h-11z",
  link: "M6.5 9.5l3-3M7 5l1.5-1.5a2.5 2.5 0 013.5 3.5L10.5 8.5M9 11l-1.5 1.5A2.5 2.5 0 014 9l1.5-1.5",
  download: "M8 2.5v7.5M4.8 7L8 10.2 11.2 7M3 13h10",
  sun: "M8 5.2a2.8 2.8 0 110 5.6 2.8 2.8 0 010-5.6M8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9",
  moon: "M13 9.5A5.5 5.5 0 016.5 3a5.5 5.5 0 106.5 6.5z",
  screen: "M2.5 3.5h11v7h-11zM6 13h4M8 10.5V13",
  pin: "M6 2.5h4M6.5 2.5v4L4.5 9h7l-2-2.5v-4M8 9v4.5",
  keyboard: "M1.5 4.5h13v7h-13zM4 7h.01M6.7 7h.01M9.3 7h.01M12 7h.01M5 9.3h6",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
