import { apiUrl } from "../api/http";
import { Icon } from "./Icon";

interface Props {
  /** The path of an operation that answers with an archive. */
  of: readonly string[];
  query?: Record<string, string | undefined>;
  /** What is downloaded, for those who do not see what the link stands beside. */
  what: string;
}

/** Downloads something as one archive, which the hub names. */
export function DownloadLink({ of, query, what }: Props) {
  return (
    <a className="button quiet" href={apiUrl(of, query)} download="" aria-label={`Download ${what}`} title={`Download ${what} as a ZIP archive`}>
      <Icon name="download" /> Download
    </a>
  );
}
