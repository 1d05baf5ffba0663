/** The side panel's widget. */

import type { ITranslator } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import { PanelView } from './components/panel-view';
import { TransContext } from './components/trans';
import { dotscienceIcon } from './icon';
import type { IDotscience } from './tokens';

export const PANEL_ID = 'dotscience-panel';

export class DotsciencePanel extends ReactWidget {
  constructor(
    private readonly model: IDotscience,
    translator: ITranslator
  ) {
    super();
    this.trans = translator.load('dotscience');
    this.id = PANEL_ID;
    this.addClass('ds-Panel');
    this.title.icon = dotscienceIcon;
    this.title.caption = this.trans.__('Dotscience: runs and commits');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', this.trans.__('Dotscience'));
  }

  protected override render(): React.ReactElement {
    return (
      <TransContext.Provider value={this.trans}>
        <PanelView model={this.model} />
      </TransContext.Provider>
    );
  }

  private readonly trans;
}
