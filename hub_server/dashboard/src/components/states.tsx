/** What a screen shows instead of its content: waiting, nothing there, or something wrong. */

import type { ReactNode } from "react";

import { HubError, HubUnreachable } from "../api/problem";
import { useDelayed } from "../lib/hooks";
import { CopyButton } from "./CopyButton";

export function Skeleton({ rows = 6, what }: { rows?: number; what: string }) {
  const isVisible = useDelayed(true);
  return (
    <div className="skeleton" role="status" aria-busy="true" data-visible={isVisible}>
      <span className="visually-hidden">Loading {what}</span>
      {isVisible && Array.from({ length: rows }, (_, row) => <div key={row} className="skeleton-row" />)}
    </div>
  );
}

interface EmptyStateProps {
  title: string;
  /** It is all that the page says, so that its title is the page's. */
  isPage?: boolean;
  children?: ReactNode;
}

export function EmptyState({ title, isPage = false, children }: EmptyStateProps) {
  const Heading = isPage ? "h1" : "h2";
  return (
    <section className="notice">
      <Heading>{title}</Heading>
      {children}
    </section>
  );
}

interface ErrorPanelProps {
  error: Error;
  retry?: () => void;
  /** It is all that the page says, so that its title is the page's. */
  isPage?: boolean;
}

/** Says what went wrong, with the request id that finds it in the hub's log, and offers another try. */
export function ErrorPanel({ error, retry, isPage = false }: ErrorPanelProps) {
  const Heading = isPage ? "h1" : "h2";
  const requestId = error instanceof HubError ? error.requestId : null;
  return (
    <section className="notice" data-tone="bad" role="alert">
      <Heading>{titleOf(error)}</Heading>
      <p>{detailOf(error)}</p>
      {requestId && (
        <p className="muted">
          Request <code>{requestId}</code> <CopyButton text={requestId} what="request id" />
        </p>
      )}
      {retry && (
        <button type="button" className="button" onClick={retry}>
          Try again
        </button>
      )}
    </section>
  );
}

function titleOf(error: Error): string {
  if (error instanceof HubUnreachable) return "No answer from the hub";
  if (error instanceof HubError && error.status === 404) return "Not found";
  return error instanceof HubError ? error.title : "Something went wrong";
}

function detailOf(error: Error): string {
  if (error instanceof HubError && error.status === 404) {
    return error.detail || "It does not exist, or you may not see it.";
  }
  return error.message;
}
