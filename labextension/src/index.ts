/** The plugins: a model, and what shows it. */

import { ILabShell, ILayoutRestorer } from '@jupyterlab/application';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { DotscienceApi } from './api';
import { followEvents } from './events';
import { dotscienceIcon } from './icon';
import { DotscienceModel } from './model';
import { DotsciencePanel, PANEL_ID } from './panel';
import { runBoard } from './run-board';
import { saveOnPublish } from './save-on-publish';
import { StatusItem } from './statusbar';
import { IDotscience } from './tokens';

const PACKAGE = '@dotscience/jupyterlab-extension';
const SETTINGS = `${PACKAGE}:plugin`;

export const COMMANDS = { open: 'dotscience:open', showRun: 'dotscience:show-run' } as const;

const model: JupyterFrontEndPlugin<IDotscience> = {
  id: SETTINGS,
  description: 'Knows the tracked folder of the notebook in front, and its runs.',
  autoStart: true,
  requires: [INotebookTracker],
  provides: IDotscience,
  activate: (app: JupyterFrontEnd, notebooks: INotebookTracker): IDotscience => {
    const { contents, events } = app.serviceManager;
    const dotscience = new DotscienceModel({
      api: new DotscienceApi(app.serviceManager.serverSettings),
      board: runBoard,
      saveNotebooks: () => saveAll(notebooks)
    });
    const look = (): void => {
      const path = notebooks.currentWidget?.context.path;
      dotscience.setNotebook(path === undefined ? null : contents.localPath(path));
    };
    notebooks.currentChanged.connect(look);
    notebooks.widgetAdded.connect((_, panel) => panel.context.pathChanged.connect(look));
    void app.restored.then(() => {
      look();
      dotscience.start();
      followEvents(events, () => void dotscience.refresh());
    });
    return dotscience;
  }
};

/** Save every open notebook that has unsaved changes. */
async function saveAll(notebooks: INotebookTracker): Promise<void> {
  const unsaved = notebooks.filter(
    ({ context }) => context.isReady && context.model.dirty && context.contentsModel?.writable !== false
  );
  await Promise.all(unsaved.map(panel => panel.context.save()));
}

const panel: JupyterFrontEndPlugin<void> = {
  id: `${PACKAGE}:panel`,
  description: 'The side panel.',
  autoStart: true,
  requires: [IDotscience],
  optional: [ITranslator, ILabShell, ILayoutRestorer, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    dotscience: IDotscience,
    translator: ITranslator | null,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null
  ) => {
    const words = translator ?? nullTranslator;
    const trans = words.load('dotscience');
    const widget = new DotsciencePanel(dotscience, words);
    app.shell.add(widget, 'right', { rank: 600, type: 'Dotscience' });
    restorer?.add(widget, PANEL_ID);
    addCommands(app, dotscience, trans);
    palette?.addItem({ command: COMMANDS.open, category: trans.__('Dotscience') });
    runBoard.asked.connect((_, runId) => void app.commands.execute(COMMANDS.showRun, { runId }));
    void labShell?.restored.then(layout => {
      if (layout.fresh) {
        app.shell.activateById(PANEL_ID);
      }
    });
  }
};

function addCommands(app: JupyterFrontEnd, dotscience: IDotscience, trans: ReturnType<ITranslator['load']>): void {
  app.commands.addCommand(COMMANDS.open, {
    label: trans.__('Show the Dotscience panel'),
    icon: dotscienceIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => app.shell.activateById(PANEL_ID)
  });
  app.commands.addCommand(COMMANDS.showRun, {
    label: trans.__('Show the details of a run'),
    describedBy: { args: { type: 'object', properties: { runId: { type: 'string' } }, required: ['runId'] } },
    execute: async args => {
      app.shell.activateById(PANEL_ID);
      await dotscience.select(String(args['runId']));
    }
  });
}

const statusbar: JupyterFrontEndPlugin<void> = {
  id: `${PACKAGE}:statusbar`,
  description: 'A few words in the status bar.',
  autoStart: true,
  requires: [IDotscience],
  optional: [IStatusBar, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    dotscience: IDotscience,
    bar: IStatusBar | null,
    translator: ITranslator | null
  ) => {
    const open = (): void => void app.commands.execute(COMMANDS.open);
    const item = new StatusItem(dotscience, translator ?? nullTranslator, open);
    bar?.registerStatusItem(`${PACKAGE}:statusbar`, { item, align: 'right', rank: 500 });
  }
};

const save: JupyterFrontEndPlugin<void> = {
  id: `${PACKAGE}:save`,
  description: 'Saves a notebook when a run is published in it.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ISettingRegistry],
  activate: (_app: JupyterFrontEnd, notebooks: INotebookTracker, registry: ISettingRegistry | null) => {
    let settings: ISettingRegistry.ISettings | null = null;
    void registry?.load(SETTINGS).then(
      loaded => (settings = loaded),
      (error: unknown) => console.warn('Dotscience: settings could not be loaded', error)
    );
    const enabled = (): boolean => settings?.get('saveOnPublish').composite !== false;
    notebooks.widgetAdded.connect((_, opened) => saveOnPublish(opened.context, enabled));
  }
};

const plugins: JupyterFrontEndPlugin<unknown>[] = [model, panel, statusbar, save];

export default plugins;
