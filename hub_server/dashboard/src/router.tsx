import { createRootRoute, createRoute, createRouter, Outlet, type ErrorComponentProps } from "@tanstack/react-router";

import { AppShell } from "./components/AppShell";
import { EmptyState, ErrorPanel } from "./components/states";
import { AccountPage } from "./features/account/AccountPage";
import { AccountsPage } from "./features/admin/AccountsPage";
import { AuditPage, ProjectAuditPage } from "./features/admin/AuditPage";
import { CommitPage } from "./features/commits/CommitPage";
import { CommitsPage } from "./features/commits/CommitsPage";
import { readFilesSearch } from "./features/files/paths";
import { ModelPage } from "./features/models/ModelPage";
import { ModelsPage } from "./features/models/ModelsPage";
import { PeoplePage } from "./features/people/PeoplePage";
import { ProjectLayout } from "./features/projects/ProjectLayout";
import { ProjectsPage } from "./features/projects/ProjectsPage";
import { ProjectTrashPage } from "./features/projects/ProjectTrashPage";
import { ComparePage, readCompareSearch } from "./features/runs/ComparePage";
import { RunPage } from "./features/runs/RunPage";
import { RunsPage } from "./features/runs/RunsPage";
import { readRunsSearch } from "./features/runs/search";
import { TrashPage } from "./features/runs/TrashPage";
import { ChoosePasswordPage } from "./features/session/ChoosePasswordPage";
import { LoginPage } from "./features/session/LoginPage";
import { readNextSearch } from "./features/session/next";
import { basePath } from "./lib/base";

const rootRoute = createRootRoute({
  component: Outlet,
  notFoundComponent: () => (
    <main id="content">
      <NotFoundPage />
    </main>
  ),
});

const loginRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/login",
  validateSearch: readNextSearch,
  component: LoginPage,
});

const passwordRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/password",
  validateSearch: readNextSearch,
  component: ChoosePasswordPage,
});

const shellRoute = createRoute({ getParentRoute: () => rootRoute, id: "shell", component: AppShell });

const projectsRoute = createRoute({ getParentRoute: () => shellRoute, path: "/", component: ProjectsPage });

const projectRoute = createRoute({ getParentRoute: () => shellRoute, path: "/p/$project", component: ProjectLayout });

const runsRoute = createRoute({
  getParentRoute: () => projectRoute,
  path: "/",
  validateSearch: readRunsSearch,
  component: RunsPage,
});

const runRoute = createRoute({
  getParentRoute: () => projectRoute,
  path: "/runs/$run",
  validateSearch: readFilesSearch,
  component: RunPage,
});

const accountRoute = createRoute({ getParentRoute: () => shellRoute, path: "/account", component: AccountPage });

const accountsRoute = createRoute({ getParentRoute: () => shellRoute, path: "/admin/accounts", component: AccountsPage });

const auditRoute = createRoute({ getParentRoute: () => shellRoute, path: "/admin/audit", component: AuditPage });

const projectTrashRoute = createRoute({ getParentRoute: () => shellRoute, path: "/trash", component: ProjectTrashPage });

const compareRoute = createRoute({
  getParentRoute: () => projectRoute,
  path: "/compare",
  validateSearch: readCompareSearch,
  component: ComparePage,
});

const peopleRoute = createRoute({ getParentRoute: () => projectRoute, path: "/people", component: PeoplePage });

const projectAuditRoute = createRoute({ getParentRoute: () => projectRoute, path: "/audit", component: ProjectAuditPage });

const trashRoute = createRoute({ getParentRoute: () => projectRoute, path: "/trash", component: TrashPage });

const modelsRoute = createRoute({ getParentRoute: () => projectRoute, path: "/models", component: ModelsPage });

const modelRoute = createRoute({ getParentRoute: () => projectRoute, path: "/models/$model", component: ModelPage });

const commitsRoute = createRoute({ getParentRoute: () => projectRoute, path: "/commits", component: CommitsPage });

const commitRoute = createRoute({
  getParentRoute: () => projectRoute,
  path: "/commits/$commit",
  validateSearch: readFilesSearch,
  component: CommitPage,
});

const routeTree = rootRoute.addChildren([
  loginRoute,
  passwordRoute,
  shellRoute.addChildren([
    projectsRoute,
    accountRoute,
    accountsRoute,
    auditRoute,
    projectTrashRoute,
    projectRoute.addChildren([
      runsRoute,
      runRoute,
      compareRoute,
      modelsRoute,
      modelRoute,
      commitsRoute,
      commitRoute,
      peopleRoute,
      projectAuditRoute,
      trashRoute,
    ]),
  ]),
]);

function NotFoundPage() {
  return (
    <div className="page">
      <EmptyState title="There is no such page" isPage>
        <p>The address may be from another hub or an older version.</p>
      </EmptyState>
    </div>
  );
}

function FailedPage({ error, reset }: ErrorComponentProps) {
  return (
    <div className="page">
      <ErrorPanel error={error instanceof Error ? error : new Error(String(error))} retry={reset} isPage />
    </div>
  );
}

export function createAppRouter() {
  return createRouter({
    routeTree,
    basepath: basePath(),
    origin: window.location.origin,
    scrollRestoration: true,
    defaultNotFoundComponent: NotFoundPage,
    defaultErrorComponent: FailedPage,
  });
}

export type AppRouter = ReturnType<typeof createAppRouter>;

declare module "@tanstack/react-router" {
  interface Register {
    router: AppRouter;
  }
}
