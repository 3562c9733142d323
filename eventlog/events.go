package eventlog

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func (l *Log) openEvents(ctx context.Context) (err error) {
	l.events, err = l.add(ctx, "events", eventStream, eventSubject, appenderOptions{
		kind:        eventRecord,
		recordBytes: eventRecordBytes, recordEntries: eventRecordEntries,
		waitingBytes: eventWaitingBytes, inFlight: recordsInFlight,
		admit: l.opts.Space.Take,
	}, eventsInHand)
	return err
}

// Append makes entries durable, all of them or none, and returns when they are:
// nil means synced to disk, or stored by a quorum of the cluster. Entries of
// one call stay together and in order.
//
// Concurrent calls share records and syncs. At most 32 MiB of calls are under
// way; a call beyond that blocks until there is room. When ctx ends first the
// error is ctx's, and the entries may or may not become durable; the same holds
// for every error that wraps [ErrUnconfirmed]. After any other error nothing was
// written. [ErrNoSpace] comes at once when the disk is close to full, and soon
// when it fails meanwhile. Entries are not kept after Append returns.
func (l *Log) Append(ctx context.Context, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	size := 0
	for i := range entries {
		size += entrySize(&entries[i])
	}
	return l.events.appender.append(ctx, eventSubject, len(entries), size, time.Time{}, func(b []byte) []byte {
		for i := range entries {
			b = appendEntry(b, &entries[i])
		}
		return b
	})
}

// ConsumeEvents hands out appended events, each record once, in the order they
// were committed, first those whose batch was handed out before a crash and not
// done. It calls handle from one goroutine at a time and blocks until ctx ends,
// whose error it returns, or the connection is closed.
//
// At most 8192 batches can be out without Done; then it stands still. A batch
// that is out stays out when ConsumeEvents returns, until Done or [Log.Close].
func (l *Log) ConsumeEvents(ctx context.Context, handle func(EventBatch)) error {
	return l.events.consume(ctx, func(msg jetstream.Msg, h *held) {
		entries, err := decodeEvents(msg.Data())
		if err != nil {
			l.unreadable(l.events, h, err)
			return
		}
		handle(EventBatch{Entries: entries, Done: h.done()})
	})
}
