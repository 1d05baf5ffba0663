import { hashKey, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";

import { isUnauthenticated, isWorthRetrying } from "./api/problem";
import { keys } from "./api/queries";
import { ToastProvider } from "./components/Toasts";
import { LiveFeed } from "./features/live/feed";
import { LiveContext } from "./features/live/hooks";
import { ShortcutProvider } from "./lib/shortcuts";
import { createAppRouter, type AppRouter } from "./router";

const RETRIES = 2;
const FRESH_MS = 30_000;

/** Everything that lives as long as the tab: the router, the query cache and the live feed. */
export function createApp() {
  const router = createAppRouter();
  const client = createQueryClient(router);
  const feed = new LiveFeed();
  return function App() {
    return (
      <QueryClientProvider client={client}>
        <LiveContext value={feed}>
          <ShortcutProvider>
            <ToastProvider>
              <RouterProvider router={router} />
            </ToastProvider>
          </ShortcutProvider>
        </LiveContext>
      </QueryClientProvider>
    );
  };
}

function createQueryClient(router: AppRouter): QueryClient {
  return new QueryClient({
    queryCache: new QueryCache({
      onError: (error, query) => {
        // That nobody has signed in is no reason to do so where all that is shown is public.
        if (isUnauthenticated(error) && query.queryHash !== hashKey(keys.session)) askToSignIn(router);
      },
    }),
    defaultOptions: {
      queries: {
        // Live events say when something changed; this only bounds what a lost event can cost.
        staleTime: FRESH_MS,
        retry: (failures, error) => failures < RETRIES && isWorthRetrying(error),
      },
    },
  });
}

/** A session that is missing or over leads to the login page, and back afterwards. */
function askToSignIn(router: AppRouter): void {
  const { pathname, searchStr } = router.latestLocation;
  if (pathname === "/login") return;
  const next = pathname + searchStr;
  void router.navigate({ to: "/login", search: next === "/" ? {} : { next }, replace: true });
}
