import { apiUrl } from "../api/http";
import { Icon } from "./Icon";

interface Props {
  /** The path of an operation that answers with an archive. */
  of: readonly string[];
  query?: Record<string, string | undefined>;
  /** What is downloaded, for those who do not see what the link stands beside. */
  what: string;
  /** What to know before it is downloaded. */
  warning?: string | undefined;
}

/** Downloads something as one archive, which the hub names. */
export function DownloadLink({ of, query, what, warning }: Props) {
  const hint = [`Download ${what} as a ZIP archive`, warning].filter(Boolean).join(". ");
  return (
    <a className="button quiet" href={apiUrl(of, query)} download="" aria-label={`Download ${what}`} title={hint}>
      <Icon name="download" /> Download
    </a>
  );
}
