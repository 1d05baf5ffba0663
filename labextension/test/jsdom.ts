/** Lumino extends DragEvent when it is loaded; jsdom has none. */

class JsdomDragEvent extends MouseEvent {}

Object.defineProperty(globalThis, 'DragEvent', { value: JsdomDragEvent });
