package cluster

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/intertie/intertie/engine"
)

var errAbandoned = errors.New("abandoned by a test")

// Abandon ends the engine as a crash does: nothing is given back, written down or
// answered, and the servers learn of it when AckWait is over.
func (e *Engine) Abandon() {
	e.closing.Do(func() {
		e.end(errAbandoned)
		e.conn.Close()
		e.upkeep()
		e.tending.Wait()
		e.writing.Wait()
		<-e.closed
	})
}

// CutOff closes the connection, as NATS does when it will not let us in again.
func (e *Engine) CutOff() { e.conn.Close() }

// LazyServers asks which servers do not sync.
func (e *Engine) LazyServers(ctx context.Context) ([]string, int, error) { return e.lazyServers(ctx) }

// BeUnsure makes the next commit settle the one before.
func (e *Engine) BeUnsure() {
	e.committing.Lock()
	defer e.committing.Unlock()
	e.unsure = true
}

// MessagesOf returns the messages of one transaction as Commit would write them.
func (e *Engine) MessagesOf(t *testing.T, writes ...engine.Write) []*nats.Msg {
	t.Helper()
	msgs, err := e.messagesOf(writes)
	if err != nil {
		t.Fatal(err)
	}
	return msgs
}

// SubjectOf and KeyOf are where a key is kept.
func SubjectOf(key string) string { return subjectOf(key) }

func KeyOf(subject string) (string, error) { return keyOf(subject) }

// Decode reads data as each kind of message, and what it could read again.
func Decode(t *testing.T, data []byte) {
	t.Helper()
	if ready, ds, err := decodeFrame(data, engine.Waiting); err == nil {
		some := make([]*engine.Delivery, len(ds))
		size := frameHead
		for i := range ds {
			some[i] = &ds[i]
			size += frameSize(&ds[i])
		}
		again := appendFrame(nil, ready, some)
		if len(again) > size {
			t.Errorf("%d bytes, said to be %d", len(again), size)
		}
		if _, back, err := decodeFrame(again, engine.Waiting); err != nil || len(back) != len(ds) {
			t.Errorf("%d deliveries became %d, %v", len(ds), len(back), err)
		}
	}
	if ws, err := decodeTransaction(data); err == nil {
		back, err := decodeTransaction(appendTransaction(nil, ws))
		if err != nil || len(back) != len(ws) {
			t.Errorf("%d writes became %d, %v", len(ws), len(back), err)
		}
		for i := range back {
			if back[i].Key != ws[i].Key || !bytes.Equal(back[i].Value, ws[i].Value) || (back[i].Value == nil) != (ws[i].Value == nil) {
				t.Errorf("%v became %v", ws[i], back[i])
			}
		}
	}
	n := notes{of: make(map[note][]uint64)}
	n.decode(data)
}
