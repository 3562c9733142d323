package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/intertie/intertie/engine"
)

// resources holds what is known of them beside the database.
type resources struct {
	mu        sync.Mutex // one transaction at a time; protects the fields below
	position  uint64     // of the newest transaction
	followers map[*follower]bool
}

// follower is one Follow.
type follower struct {
	apply func(engine.Transaction) error
	ended chan error // cap 1
}

// tell hands a transaction to a follower, unless it has ended.
func (r *resources) tell(f *follower, t engine.Transaction) {
	if err := f.apply(t); err != nil {
		delete(r.followers, f)
		f.ended <- err
	}
}

// firstPosition is that of a database without a transaction.
const firstPosition = 1

// revisionSize stands before the value of a resource: its revision.
const revisionSize = 8

// Commit implements [engine.Resources]. It returns after the followers have seen
// the transaction.
func (e *Engine) Commit(ctx context.Context, position uint64, writes []engine.Write) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := e.begin(); err != nil {
		return 0, err
	}
	defer e.finish()
	size := 0
	for _, w := range writes {
		if len(w.Value) > engine.MaxRecord {
			return 0, fmt.Errorf("a resource of %d bytes: %w", len(w.Value), engine.ErrTooLarge)
		}
		size += len(w.Key) + len(w.Value)
	}
	if err := e.space.take(size); err != nil {
		return 0, err
	}
	defer e.space.put(size)

	r := &e.resources
	r.mu.Lock()
	defer r.mu.Unlock()
	if position != r.position {
		return 0, engine.ErrConflict
	}
	next := r.position + 1
	done := make([]engine.Write, len(writes))
	b := e.db.NewIndexedBatch() // a key may be written twice in one transaction
	var t tally
	for i, w := range writes {
		w.Revision = next
		done[i] = w
		if err := e.put(b, &t, w); err != nil {
			return 0, errors.Join(err, b.Close())
		}
	}
	if err := b.Set(positionKey, binary.BigEndian.AppendUint64(nil, next), nil); err != nil {
		return 0, errors.Join(err, b.Close())
	}
	err := e.write(b, func(all *tally) error { all.sum(&t); return nil }, nil)
	if err != nil {
		return 0, err
	}
	r.position = next
	for f := range r.followers {
		r.tell(f, engine.Transaction{Position: next, Writes: done})
	}
	return next, nil
}

// put writes or deletes one resource.
func (e *Engine) put(b *pebble.Batch, t *tally, w engine.Write) error {
	key := resourceKey(w.Key)
	old, closer, err := b.Get(key)
	switch {
	case err == nil:
		t.remove(kept, key, old)
		if err := closer.Close(); err != nil {
			return err
		}
	case !errors.Is(err, pebble.ErrNotFound):
		return fmt.Errorf("read the resource %s: %w", w.Key, err)
	}
	if w.Value == nil {
		return b.Delete(key, nil)
	}
	value := append(binary.BigEndian.AppendUint64(make([]byte, 0, revisionSize+len(w.Value)), w.Revision), w.Value...)
	t.add(kept, key, value)
	return b.Set(key, value, nil)
}

// Follow implements [engine.Resources].
func (e *Engine) Follow(ctx context.Context, apply func(engine.Transaction) error) error {
	ctx, cancel := e.reading(ctx)
	defer cancel()
	f := &follower{apply: apply, ended: make(chan error, 1)}
	if err := e.use(func() error { return e.follow(f) }); err != nil {
		return whyEnded(ctx, err)
	}
	defer func() {
		e.resources.mu.Lock()
		defer e.resources.mu.Unlock()
		delete(e.resources.followers, f)
	}()
	select {
	case err := <-f.ended:
		return err
	case <-ctx.Done():
		return whyEnded(ctx, ctx.Err())
	}
}

// follow shows a follower everything, and every transaction from then on.
func (e *Engine) follow(f *follower) error {
	r := &e.resources
	r.mu.Lock()
	defer r.mu.Unlock()
	all := engine.Transaction{Position: r.position, Snapshot: true}
	err := e.eachResource(func(w engine.Write) { all.Writes = append(all.Writes, w) })
	if err != nil {
		return err
	}
	r.followers[f] = true
	r.tell(f, all)
	return nil
}

// eachResource reads all resources.
func (e *Engine) eachResource(each func(engine.Write)) error {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: []byte{resourcePrefix}, UpperBound: []byte{resourcePrefix + 1}})
	if err != nil {
		return fmt.Errorf("read resources: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		v, verr := it.ValueAndErr()
		if verr == nil && len(v) < revisionSize {
			verr = fmt.Errorf("%s has no revision", it.Key()[1:])
		}
		if verr != nil {
			err = verr
			break
		}
		each(engine.Write{
			Key: string(it.Key()[1:]), Revision: binary.BigEndian.Uint64(v), Value: append([]byte{}, v[revisionSize:]...),
		})
	}
	if err := errors.Join(err, it.Error(), it.Close()); err != nil {
		return fmt.Errorf("read resources: %w", err)
	}
	return nil
}

// Fresh implements [engine.Resources].
func (e *Engine) Fresh(context.Context) (bool, error) {
	if err := e.usable(); err != nil {
		return false, err
	}
	e.resources.mu.Lock()
	defer e.resources.mu.Unlock()
	return e.resources.position == firstPosition, nil
}
