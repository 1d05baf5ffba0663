import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from "react";

const SHOWN_MS = 10_000;

interface Toast {
  text: string;
  /** What takes back what the text says. */
  undo?: () => void;
}

const ToastContext = createContext<(toast: Toast) => void>(() => undefined);

/** Says what was done, with a way to take it back. */
export function useToast(): (toast: Toast) => void {
  return useContext(ToastContext);
}

/** Shows the last toast for ten seconds, longer while the pointer or the focus is on it. */
export function ToastProvider({ children }: { children: ReactNode }) {
  const [toast, setToast] = useState<Toast | null>(null);
  const [isHeld, setHeld] = useState(false);
  const show = useCallback((next: Toast) => setToast(next), []);
  useEffect(() => {
    if (toast === null || isHeld) return;
    const handle = setTimeout(() => setToast(null), SHOWN_MS);
    return () => clearTimeout(handle);
  }, [toast, isHeld]);
  const close = () => {
    setToast(null);
    setHeld(false);
  };
  return (
    <ToastContext value={show}>
      {children}
      <div
        className="toasts"
        role="status"
        onPointerEnter={() => setHeld(true)}
        onPointerLeave={() => setHeld(false)}
        onFocus={() => setHeld(true)}
        onBlur={() => setHeld(false)}
      >
        {toast && <ToastView toast={toast} close={close} />}
      </div>
    </ToastContext>
  );
}

function ToastView({ toast, close }: { toast: Toast; close: () => void }) {
  const { text, undo } = toast;
  return (
    <p className="toast">
      <span>{text}</span>
      {undo && (
        <button
          type="button"
          className="button"
          onClick={() => {
            undo();
            close();
          }}
        >
          Undo
        </button>
      )}
      <button type="button" className="button quiet" onClick={close}>
        Dismiss
      </button>
    </p>
  );
}

/** Asks before something that others notice; Escape and Cancel do nothing. */
export function useConfirm(): [ReactNode, (question: string, action: string, run: () => void) => void] {
  const [asked, setAsked] = useState<{ question: string; action: string; run: () => void } | null>(null);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (asked) dialog.current?.showModal();
  }, [asked]);
  const ask = useMemo(() => (question: string, action: string, run: () => void) => setAsked({ question, action, run }), []);
  const view = asked && (
    <dialog ref={dialog} className="dialog" aria-label={asked.action} onClose={() => setAsked(null)}>
      <p>{asked.question}</p>
      <div className="dialog-actions">
        <button type="button" className="button" onClick={() => setAsked(null)}>
          Cancel
        </button>
        <button
          type="button"
          className="button primary"
          onClick={() => {
            asked.run();
            setAsked(null);
          }}
        >
          {asked.action}
        </button>
      </div>
    </dialog>
  );
  return [view, ask];
}
