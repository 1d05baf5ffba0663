/**
 * The run card: what a notebook shows for a published run.
 *
 * It is drawn in notebooks that nobody trusts, so it is made of elements and text only, never of markup.
 */

import type { TranslationBundle } from '@jupyterlab/translation';

import { runStateWords } from './run-words';
import { formatDuration, formatTime, formatValue, shortId } from './format';
import type { RunRecord, Values } from './record';
import type { RunState } from './api';

const MOST_VALUES = 12;

export interface CardOptions {
  readonly trans: TranslationBundle;
  /** How far the run has come, where that is known. */
  readonly state: RunState | undefined;
  /** Shows the run's details; left out where nothing can. */
  readonly onOpen?: () => void;
}

/** A card for one run. */
export function renderCard(record: RunRecord, options: CardOptions): HTMLElement {
  const { trans } = options;
  const card = element('article', 'ds-Card');
  card.setAttribute('aria-label', trans.__('Dotscience run'));
  card.classList.toggle('ds-mod-failed', record.error !== null);
  card.append(header(record, options));
  if (record.error !== null) {
    card.append(element('p', 'ds-Card-error', formatValue(record.error, 500) || trans.__('The run failed')));
  }
  if (Object.keys(record.summary).length > 0) {
    card.append(values('ds-Card-metrics', record.summary, trans.__('Metrics')));
  }
  if (Object.keys(record.parameters).length > 0) {
    card.append(values('ds-Card-parameters', record.parameters, trans.__('Parameters')));
  }
  card.append(footer(record, options));
  return card;
}

/** Write how far the run has come into a card that is shown already. */
export function updateState(card: HTMLElement, state: RunState | undefined, trans: TranslationBundle): void {
  const badge = card.querySelector<HTMLElement>('.ds-Card-state');
  if (badge === null) {
    return;
  }
  const [word, explanation] = state === undefined ? ['', ''] : runStateWords(state, trans);
  badge.className = `ds-Card-state ds-State${state === undefined ? '' : ` ds-mod-${state}`}`;
  badge.hidden = state === undefined;
  badge.textContent = word;
  badge.title = explanation;
}

function header(record: RunRecord, { trans, state }: CardOptions): HTMLElement {
  const head = element('header', 'ds-Card-head');
  const title = record.description ? formatValue(record.description, 300) : trans.__('Run %1', shortId(record.runId));
  head.append(element('span', 'ds-Card-title', title), element('span', 'ds-Card-state'));
  updateState(head, state, trans);
  if (record.error !== null) {
    head.append(element('span', 'ds-Badge ds-mod-bad', trans.__('failed')));
  }
  return head;
}

function values(className: string, shown: Values, label: string): HTMLElement {
  const list = element('dl', className);
  list.setAttribute('aria-label', label);
  const entries = Object.entries(shown);
  for (const [name, value] of entries.slice(0, MOST_VALUES)) {
    const pair = element('div', '');
    pair.append(element('dt', '', formatValue(name, 60)), element('dd', '', formatValue(value)));
    pair.title = `${name} = ${formatValue(value, 500)}`;
    list.append(pair);
  }
  if (entries.length > MOST_VALUES) {
    list.append(element('div', 'ds-mod-more', `+${entries.length - MOST_VALUES}`));
  }
  return list;
}

function footer(record: RunRecord, { trans, onOpen }: CardOptions): HTMLElement {
  const foot = element('footer', 'ds-Card-foot');
  const { inputs, outputs, models } = record;
  const facts = [
    formatTime(record.startedAt),
    formatDuration(record),
    inputs.length > 0 ? trans._n('%1 input', '%1 inputs', inputs.length) : '',
    outputs.length > 0 ? trans._n('%1 output', '%1 outputs', outputs.length) : '',
    models.length > 0 ? trans._n('%1 model', '%1 models', models.length) : '',
    record.description ? shortId(record.runId) : ''
  ];
  foot.append(...facts.filter(Boolean).map(fact => element('span', '', fact)));
  if (onOpen) {
    const open = element('button', 'ds-Link', trans.__('Details'));
    open.setAttribute('type', 'button');
    open.addEventListener('click', onOpen);
    foot.append(open);
  }
  return foot;
}

function element(tag: string, className: string, text = ''): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
