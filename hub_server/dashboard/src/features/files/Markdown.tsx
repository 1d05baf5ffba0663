import { lexer, type Token, type Tokens } from "marked";
import { Fragment, useMemo, type ReactNode } from "react";

const MAX_CHARS = 64 * 1024;
const MAX_DEPTH = 20;
/** Each level of nesting is read anew, so that a line of nothing but marks would take very long. */
const NESTS_TOO_DEEPLY = new RegExp(`^[ \\t]*(?:>[ \\t]*|[-*+][ \\t]+|\\d+[.)][ \\t]+){${MAX_DEPTH}}`, "m");
/** The lexer looks for the end of each emphasis again (marked 17.0.6): 20,000 of them in one paragraph take a minute. */
const MAX_MARKS = 400;

/**
 * Markdown as elements of the page. It is other people's content: HTML in it is shown as text, links lead only to the web,
 * and pictures are named, not fetched. What is too large or nests too deeply is shown as it was written.
 */
export default function Markdown({ source }: { source: string }) {
  const tokens = useMemo(() => tryLex(source), [source]);
  if (tokens === null) return <pre className="source-text">{source}</pre>;
  return <div className="markdown">{all(tokens, 0)}</div>;
}

function tryLex(source: string): Token[] | null {
  if (source.length > MAX_CHARS || NESTS_TOO_DEEPLY.test(source) || hasTooManyMarks(source)) return null;
  try {
    return lexer(source);
  } catch {
    return null; // the lexer promises nothing for hostile text; the source says all that there is
  }
}

function hasTooManyMarks(source: string): boolean {
  return source.split(/\n[ \t]*\n/).some((block) => (block.match(/[*_~]/g)?.length ?? 0) > MAX_MARKS);
}

function all(tokens: readonly Token[] | undefined, depth: number): ReactNode {
  if (depth > MAX_DEPTH) return (tokens ?? []).map((token) => token.raw).join("");
  return (tokens ?? []).map((token, index) => <Fragment key={index}>{one(token, depth + 1)}</Fragment>);
}

function one(token: Token, depth: number): ReactNode {
  const inner = () => all("tokens" in token ? token.tokens : undefined, depth);
  switch (token.type) {
    case "heading":
      return <p className="markdown-heading" role="heading" aria-level={Math.min((token as Tokens.Heading).depth + 2, 6)} data-depth={(token as Tokens.Heading).depth}>{inner()}</p>;
    case "paragraph":
      return <p>{inner()}</p>;
    case "blockquote":
      return <blockquote>{inner()}</blockquote>;
    case "list":
      return <List list={token as Tokens.List} depth={depth} />;
    case "table":
      return <Table table={token as Tokens.Table} depth={depth} />;
    case "code":
      return <pre>{(token as Tokens.Code).text}</pre>;
    case "hr":
      return <hr />;
    case "space":
    case "def":
      return null;
    default:
      return inline(token, inner);
  }
}

function inline(token: Token, inner: () => ReactNode): ReactNode {
  switch (token.type) {
    case "strong":
      return <strong>{inner()}</strong>;
    case "em":
      return <em>{inner()}</em>;
    case "del":
      return <del>{inner()}</del>;
    case "codespan":
      return <code>{unescaped((token as Tokens.Codespan).text)}</code>;
    case "br":
      return <br />;
    case "link":
      return <WebLink href={(token as Tokens.Link).href}>{inner()}</WebLink>;
    case "image":
      return <span className="muted">[{(token as Tokens.Image).text || "picture"}]</span>;
    case "text":
    case "escape":
      return "tokens" in token && token.tokens ? inner() : unescaped((token as Tokens.Text).text);
    default:
      return token.raw;
  }
}

function WebLink({ href, children }: { href: string; children: ReactNode }) {
  if (!/^https?:\/\//i.test(href)) return <>{children}</>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

function List({ list, depth }: { list: Tokens.List; depth: number }) {
  const items = list.items.map((item, index) => (
    <li key={index}>
      {item.task && (item.checked ? "☑ " : "☐ ")}
      {all(item.tokens, depth)}
    </li>
  ));
  return list.ordered ? <ol start={list.start || 1}>{items}</ol> : <ul>{items}</ul>;
}

function Table({ table, depth }: { table: Tokens.Table; depth: number }) {
  return (
    <div className="table-scroll">
      <table className="table compact">
        <thead>
          <tr>
            {table.header.map((cell, column) => (
              <th key={column} scope="col">
                {all(cell.tokens, depth)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, index) => (
            <tr key={index}>
              {row.map((cell, column) => (
                <td key={column}>{all(cell.tokens, depth)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'", nbsp: "\u00a0" };

function unescaped(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|#39|nbsp);/g, (whole, name: string) => ENTITIES[name] ?? whole);
}
