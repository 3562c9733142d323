package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// reclaimEvery is how often space is asked back while too little is free.
	reclaimEvery = time.Second
	// reclaimNeeds is how much must be free to begin another log for it.
	reclaimNeeds = 1 << 20
)

// reclaim gets back the space of what was settled, while so little is free that
// nothing is taken. Pebble frees it by compactions, which it begins when enough
// has come: but now nothing comes.
func (e *Engine) reclaim(ctx context.Context) {
	tick := time.NewTicker(reclaimEvery)
	defer tick.Stop()
	var flushed, compacted uint64 // bytes of the log by then
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if e.space.room() == nil || e.space.freeBytes() < reclaimNeeds {
			continue
		}
		var err error
		switch written := e.db.Metrics().WAL.BytesIn; {
		case written != flushed:
			flushed = written
			err = e.flushTables(ctx)
		case written != compacted: // that was not enough
			compacted = written
			err = e.compactTables(ctx)
		}
		if err != nil && ctx.Err() == nil {
			e.logger.Warn("space of what is gone is not freed", "error", err)
		}
	}
}

// flushTables writes to tables what is in memory: the notes of what is gone too. It
// waits: with several that fail, all writes would wait.
func (e *Engine) flushTables(ctx context.Context) error {
	done, err := e.db.AsyncFlush()
	if err != nil {
		return fmt.Errorf("flush the database: %w", err)
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
	return nil
}

// compactTables writes all tables anew, without what is gone, if there is room for
// both at the same time.
func (e *Engine) compactTables(ctx context.Context) error {
	from, to := []byte{eventPrefix}, []byte{bodyPrefix + 1}
	fits, err := e.fits(from, to, e.space.freeBytes()-below(e.space.mark.Load(), nothing))
	if err == nil && fits {
		err = e.db.Compact(ctx, from, to, false)
	}
	if err != nil {
		return fmt.Errorf("compact the database: %w", err)
	}
	return nil
}

// fits reports whether what is between two keys has no more than so many bytes.
func (e *Engine) fits(from, to []byte, bytes int64) (bool, error) {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return false, err
	}
	for ok := it.First(); ok && bytes >= 0; ok = it.Next() {
		v := it.LazyValue()
		bytes -= int64(len(it.Key()) + v.Len())
	}
	return bytes >= 0, errors.Join(it.Error(), it.Close())
}
