/** The status bar's item: a few words, and the way to the panel. */

import type { ITranslator } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import { useModelState } from './components/panel-view';
import { describe } from './describe';
import type { IDotscience } from './tokens';

interface ItemProps {
  readonly model: IDotscience;
  readonly trans: ReturnType<ITranslator['load']>;
  readonly onOpen: () => void;
}

function Item({ model, trans, onOpen }: ItemProps): React.ReactElement {
  const { tone, brief, sentence } = describe(useModelState(model), trans);
  return (
    <button type="button" className={`ds-StatusItem ds-mod-${tone}`} title={sentence} onClick={onOpen}>
      <span className="ds-Dot" aria-hidden="true" />
      {trans.__('Dotscience: %1', brief)}
    </button>
  );
}

export class StatusItem extends ReactWidget {
  constructor(
    private readonly model: IDotscience,
    private readonly translator: ITranslator,
    private readonly onOpen: () => void
  ) {
    super();
  }

  protected override render(): React.ReactElement {
    return <Item model={this.model} trans={this.translator.load('dotscience')} onOpen={this.onOpen} />;
  }
}
