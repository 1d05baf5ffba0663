import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";

import { addComment, deleteComment } from "../../api/changes";
import { commentsQuery, keys, projectQuery, sessionQuery } from "../../api/queries";
import type { Comment, Run } from "../../api/types";
import { FormError } from "../../components/FormError";
import { Icon } from "../../components/Icon";
import { Panel } from "../../components/Panel";
import { ErrorPanel } from "../../components/states";
import { Time } from "../../components/Time";

/** What people say to each other about a run. */
export function CommentsPanel({ run }: { run: Run }) {
  const { project_id: project, id } = run;
  const client = useQueryClient();
  const query = useInfiniteQuery(commentsQuery(project, id));
  const role = useQuery(projectQuery(project)).data?.role ?? null;
  const me = useQuery(sessionQuery()).data?.account.name;
  const stale = () => client.invalidateQueries({ queryKey: keys.run(project, id) });
  const remove = useMutation({ mutationFn: (comment: number) => deleteComment(project, id, comment), onSettled: stale });
  const comments = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Panel title="Comments" aside={comments.length > 0 ? comments.length : undefined}>
      {query.isError && <ErrorPanel error={query.error} retry={() => void query.refetch()} />}
      {query.isSuccess && comments.length === 0 && <p className="panel-empty">Nobody has said anything yet.</p>}
      <ol className="comments">
        {comments.map((comment) => {
          const isMine = comment.author === me || role === "owner";
          return <CommentView key={comment.id} comment={comment} remove={isMine ? () => remove.mutate(comment.id) : null} />;
        })}
      </ol>
      {query.hasNextPage && (
        <button type="button" className="button" onClick={() => void query.fetchNextPage()}>
          Show more comments
        </button>
      )}
      <FormError error={remove.error} />
      {role !== null && <NewComment add={(text) => addComment(project, id, text)} added={() => void stale()} />}
    </Panel>
  );
}

function CommentView({ comment, remove }: { comment: Comment; remove: (() => void) | null }) {
  return (
    <li className="comment">
      <p className="comment-head">
        <strong>{comment.author}</strong>
        <span className="muted">
          <Time at={comment.created_at} />
          {comment.edited_at && " · edited"}
        </span>
        {remove && (
          <button type="button" className="icon-button small" aria-label={`Remove the comment of ${comment.author}`} onClick={remove}>
            <Icon name="cross" />
          </button>
        )}
      </p>
      <p className="notes">{comment.text}</p>
    </li>
  );
}

function NewComment({ add, added }: { add: (text: string) => Promise<Comment>; added: () => void }) {
  const [text, setText] = useState("");
  const send = useMutation({
    mutationFn: add,
    onSuccess: () => {
      setText("");
      added();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    send.mutate(text);
  };
  return (
    <form className="form padded" onSubmit={submit}>
      <label>
        <span className="visually-hidden">Your comment</span>
        <textarea
          className="input"
          rows={2}
          value={text}
          onChange={(event) => setText(event.target.value)}
          placeholder="Say something about this run"
          maxLength={10_000}
          required
        />
      </label>
      <FormError error={send.error} />
      <p>
        <button type="submit" className="button" disabled={send.isPending || text.trim() === ""}>
          Comment
        </button>
      </p>
    </form>
  );
}
