package local

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/intertie/intertie/engine"
)

// sequence puts everything that is synced into one order: numbers are given and
// batches applied under its lock, so that a reader who holds it sees all of what
// was numbered and nothing else.
type sequence struct {
	sync.Mutex
	// The fields below are protected by it.
	writes uint64 // synced batches applied
	events uint64 // the newest record
}

// numbersPerWrite is how many numbers a write has for what it adds: they grow with
// each write, and are never given twice.
const numbersPerWrite = 1 << 16

// number returns the first number of the write that is being prepared.
func (s *sequence) number() uint64 { return (s.writes + 1) * numbersPerWrite }

// write syncs one batch. number is called under the lock of the order and puts in
// what depends on it; note, under the same lock, tells readers of what is there now.
// It returns when the batch is durable, and noted as such.
func (e *Engine) write(b *pebble.Batch, number func(t *tally) error, note func()) error {
	e.seq.Lock()
	t := tally{writes: 1}
	err := number(&t)
	if err == nil {
		err = b.Merge(tallyKey, t.encode(), nil)
	}
	if err != nil {
		e.seq.Unlock()
		return errors.Join(err, b.Close())
	}
	if err := e.db.ApplyNoSyncWait(b, pebble.Sync); err != nil {
		e.seq.Unlock()
		e.fail(fmt.Errorf("write to the database: %w", err))
		return e.Err()
	}
	e.seq.writes++
	n := e.seq.writes
	e.counts.add(&t)
	if note != nil {
		note()
	}
	e.seq.Unlock()

	if err := b.SyncWait(); err != nil {
		e.fail(fmt.Errorf("sync the database: %w", err))
		return fmt.Errorf("%w: %w", engine.ErrUnconfirmed, e.Err())
	}
	if err := e.acked.set(n); err != nil {
		e.fail(err)
		return fmt.Errorf("%w: %w", engine.ErrUnconfirmed, err)
	}
	return b.Close()
}

// usable returns why nothing can be read or written any more.
func (e *Engine) usable() error { return context.Cause(e.life) }

// begin registers a call that Close waits for until end is called, unless it
// returns an error.
func (e *Engine) begin() error {
	e.closeMu.RLock()
	if err := e.usable(); err != nil {
		e.closeMu.RUnlock()
		return err
	}
	return nil
}

func (e *Engine) finish() { e.closeMu.RUnlock() }

// use calls f, which uses the database and calls nobody else, unless the engine is
// closed.
func (e *Engine) use(f func() error) error {
	if err := e.begin(); err != nil {
		return err
	}
	defer e.finish()
	return f()
}
