import { shorten } from "../lib/format";
import { CopyButton } from "./CopyButton";

/** A long id in short, with the whole of it to copy. */
export function Hash({ id, what }: { id: string; what: string }) {
  return (
    <span className="hash">
      <code title={id}>{shorten(id)}</code>
      <CopyButton text={id} what={what} />
    </span>
  );
}
