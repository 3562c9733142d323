package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/intertie/intertie/engine"
)

// complete writes what is missing of the newest transaction, whose writer may have
// died after its first message. It returns the newest sequence then.
//
// Nothing else can be written while it is not complete: a commit expects the sequence
// of its last message. So the messages after it are the first of its writes, and the
// rest is missing. Several may do this at once, since each message is taken only
// where it belongs.
func (e *Engine) complete(ctx context.Context) (newest uint64, err error) {
	last, err := e.state.GetLastMsgForSubject(ctx, transactionSubject)
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, fmt.Errorf("read the newest transaction: %w", err)
	}
	newest, infoErr := e.newest(ctx)
	if infoErr != nil || err != nil {
		return newest, infoErr
	}
	writes, err := decodeTransaction(last.Data)
	if err != nil {
		return newest, fmt.Errorf("read the newest transaction: %w", err)
	}
	if newest < last.Sequence {
		return newest, errors.New("the newest transaction is newer than the stream")
	}
	for end := last.Sequence + uint64(len(writes)); newest < end; newest++ {
		w := writes[newest-last.Sequence]
		m := e.messageOf(w)
		expect(m, newest)
		if _, err := e.insist(ctx, m); err != nil {
			return newest, fmt.Errorf("complete a transaction: %w", err)
		}
		e.opts.Logger.Warn("completed a transaction that had been cut short", "key", w.Key)
	}
	return newest, nil
}

// appendTransaction writes a version byte, the number of writes, and of each its
// key, and the length of its value plus one and the value; 0 means deleted.
func appendTransaction(b []byte, writes []engine.Write) []byte {
	b = append(b, frameVersion)
	b = binary.AppendUvarint(b, uint64(len(writes)))
	for _, w := range writes {
		b = appendText(b, w.Key)
		if w.Value == nil {
			b = binary.AppendUvarint(b, 0)
			continue
		}
		b = append(binary.AppendUvarint(b, uint64(len(w.Value))+1), w.Value...)
	}
	return b
}

func decodeTransaction(data []byte) ([]engine.Write, error) {
	c := cursor{data: data}
	if err := c.version(); err != nil {
		return nil, err
	}
	n := c.number()
	if n > uint64(len(data)) {
		return nil, errMalformed
	}
	writes := make([]engine.Write, 0, n)
	for range n {
		w := engine.Write{Key: string(c.text())}
		if size := c.number(); size > 0 {
			w.Value = c.bytes(size - 1)
		}
		writes = append(writes, w)
	}
	return writes, c.end()
}
