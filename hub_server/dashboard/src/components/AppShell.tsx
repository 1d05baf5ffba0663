import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useNavigate } from "@tanstack/react-router";

import { isUnauthenticated } from "../api/problem";
import { sessionQuery } from "../api/queries";
import { signOut } from "../api/changes";
import { useLiveProjects, useLiveState } from "../features/live/hooks";
import { useShortcuts } from "../lib/shortcuts";
import { useTheme, type Theme } from "../lib/theme";
import { Icon, type IconName } from "./Icon";
import { Logo } from "./Logo";
import { ShortcutHelp } from "./ShortcutHelp";

/** The frame of every signed-in page. It keeps the one WebSocket of the tab open. */
export function AppShell() {
  const navigate = useNavigate();
  useLiveProjects();
  useShortcuts([{ key: "p", description: "Go to projects", run: () => void navigate({ to: "/" }) }]);
  return (
    <div className="shell">
      <a className="skip-link" href="#content">
        Skip to content
      </a>
      <header className="topbar">
        <Link to="/" className="brand">
          <Logo />
          <span>Dotscience</span>
        </Link>
        <div className="topbar-end">
          <LiveIndicator />
          <ShortcutHelp />
          <ThemeButton />
          <AccountMenu />
        </div>
      </header>
      <PasswordReminder />
      <main id="content" className="content" tabIndex={-1}>
        <Outlet />
      </main>
    </div>
  );
}

const LIVE_TEXT = { connecting: "Connecting", live: "Live", offline: "Reconnecting" } as const;

function LiveIndicator() {
  const state = useLiveState();
  const isSignedIn = useQuery(sessionQuery()).isSuccess;
  if (!isSignedIn) return null;
  return (
    <span className="live" data-state={state} role="status" title="New runs appear without reloading">
      <span className="live-dot" aria-hidden="true" />
      {LIVE_TEXT[state]}
    </span>
  );
}

/** For those who could not sign in again once this session is over. */
function PasswordReminder() {
  const { data: session } = useQuery(sessionQuery());
  if (!session || session.has_password || session.is_operator) return null;
  return (
    <p className="reminder" role="status">
      You have no password yet, and cannot sign in again without one. <Link to="/account">Choose a password</Link>
    </p>
  );
}

const THEME_ICON: Record<Theme, IconName> = { system: "screen", light: "sun", dark: "moon" };

function ThemeButton() {
  const { theme, cycle } = useTheme();
  const label = `Theme: ${theme}. Change`;
  return (
    <button type="button" className="icon-button" aria-label={label} title={label} onClick={cycle}>
      <Icon name={THEME_ICON[theme]} />
    </button>
  );
}

function AccountMenu() {
  const session = useQuery(sessionQuery());
  const client = useQueryClient();
  const navigate = useNavigate();
  const leave = async () => {
    await signOut();
    client.clear();
    await navigate({ to: "/login", search: {} });
  };
  const next = useLocation({ select: ({ pathname }) => pathname });
  if (session.isError && isUnauthenticated(session.error)) {
    return (
      <Link to="/login" search={{ next }} className="button">
        Sign in
      </Link>
    );
  }
  if (!session.data) return null;
  return (
    <span className="account">
      {session.data.is_admin && (
        <Link to="/admin/accounts" className="button quiet">
          Accounts
        </Link>
      )}
      <Link to="/account" className="button quiet account-name" title="Password, browsers, tokens">
        {session.data.account.name}
      </Link>
      <button type="button" className="button quiet" onClick={() => void leave()}>
        Sign out
      </button>
    </span>
  );
}
