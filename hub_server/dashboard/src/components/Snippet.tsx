import { CopyButton } from "./CopyButton";

export function Snippet({ code, label }: { code: string; label: string }) {
  return (
    <figure className="snippet" aria-label={label}>
      <pre>
        <code>{code}</code>
      </pre>
      <CopyButton text={code} what="code" />
    </figure>
  );
}

/** The four lines that make a first run. */
export const FIRST_RUN = `import dotscience as ds
ds.start("my first run")
ds.metric("accuracy", 0.93)
ds.publish()`;

/** What turns a run's output into a version of a model. */
export const FIRST_MODEL = `import dotscience as ds
ds.start("train")
joblib.dump(classifier, "iris.joblib")
ds.model(classifier, "iris", "iris.joblib")
ds.publish()`;
