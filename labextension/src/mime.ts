/** Run cards in notebook outputs. */

import { nullTranslator } from '@jupyterlab/translation';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';

import { renderCard, updateState } from './card';
import { readRecord, RUN_MIME } from './record';
import { runBoard } from './run-board';

/** Shows one run; follows its state as long as it is shown. */
export class RunCard extends Widget implements IRenderMime.IRenderer {
  constructor(private readonly trans: TranslationBundle) {
    super();
    this.addClass('ds-Card-host');
    runBoard.changed.connect(this.update, this);
  }

  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const record = readRecord(model.data[RUN_MIME]);
    this.runId = record.runId;
    const card = renderCard(record, {
      trans: this.trans,
      state: runBoard.stateOf(record.runId),
      onOpen: () => runBoard.ask(record.runId)
    });
    this.node.replaceChildren(card);
    return Promise.resolve();
  }

  protected override onUpdateRequest(): void {
    updateState(this.node, runBoard.stateOf(this.runId), this.trans);
  }

  override dispose(): void {
    runBoard.changed.disconnect(this.update, this);
    super.dispose();
  }

  private runId = '';
}

const extension: IRenderMime.IExtension = {
  id: '@dotscience/jupyterlab-extension:mime',
  rendererFactory: {
    safe: true,
    mimeTypes: [RUN_MIME],
    createRenderer: options => new RunCard((options.translator ?? nullTranslator).load('dotscience'))
  },
  rank: 0,
  dataType: 'json'
};

export default extension;
