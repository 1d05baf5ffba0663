// ECMA-48: CSI sequences (colours, cursor moves) and OSC sequences (titles, links), as tracebacks of IPython hold them.
const SEQUENCES = /\u001b\[[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?/g;

/** The text without terminal control sequences. */
export function plainText(text: string): string {
  return text.replace(SEQUENCES, "");
}
