package eventlog

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestCommitErrors(t *testing.T) {
	other := errors.New("another")
	for _, c := range []struct {
		err                  error
		noSpace, unconfirmed bool
	}{
		{&jetstream.APIError{ErrorCode: 10047, Description: "insufficient storage resources available"}, true, false},
		{&jetstream.APIError{ErrorCode: 10023}, true, false},
		{fmt.Errorf("wrapped: %w", &jetstream.APIError{ErrorCode: 10077, Description: "maximum bytes exceeded"}), true, false},
		{nats.ErrDisconnected, false, true},
		{nats.ErrConnectionClosed, false, true},
		{&jetstream.APIError{ErrorCode: 10059}, false, false},
		{other, false, false},
	} {
		got := commitError(c.err)
		if !errors.Is(got, c.err) {
			t.Errorf("%v was lost: %v", c.err, got)
		}
		if errors.Is(got, ErrNoSpace) != c.noSpace || errors.Is(got, ErrUnconfirmed) != c.unconfirmed {
			t.Errorf("%v became %v", c.err, got)
		}
	}
}
