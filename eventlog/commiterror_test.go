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
		err  error
		want error
	}{
		{&jetstream.APIError{ErrorCode: 10047, Description: "insufficient storage resources available"}, ErrNoSpace},
		{&jetstream.APIError{ErrorCode: 10023}, ErrNoSpace},
		{fmt.Errorf("wrapped: %w", &jetstream.APIError{ErrorCode: 10077, Description: "maximum bytes exceeded"}), ErrNoSpace},
		{nats.ErrDisconnected, ErrUnconfirmed},
		{nats.ErrConnectionClosed, ErrUnconfirmed},
		{&jetstream.APIError{ErrorCode: 10059}, nil},
		{other, nil},
	} {
		got := commitError(c.err)
		if !errors.Is(got, c.err) {
			t.Errorf("%v was lost: %v", c.err, got)
		}
		for _, kind := range []error{ErrNoSpace, ErrUnconfirmed} {
			if errors.Is(got, kind) != (kind == c.want) {
				t.Errorf("%v became %v", c.err, got)
			}
		}
	}
}
