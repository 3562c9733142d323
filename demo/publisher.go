package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/intertie/intertie/armclient"
)

// Sizes of the publish requests, in turn: 1 is a single structured event, more
// is a batch. Batches grow with the rate, up to maxBatch.
var requestSizes = [...]int{1, 4, 1, 8, 2}

const (
	maxBatch = 500
	// A request is tried this often before the demo gives up.
	publishTries = 5
)

// channel is where the events of one customer go.
type channel struct {
	customer customer
	stream   armclient.Stream
}

// publisher sends the partner's orders, turn by turn to each channel.
type publisher struct {
	http     *http.Client
	channels []channel
	ledger   *ledger
	now      func() time.Time
	sent     atomic.Int64 // events answered 200
}

// run publishes events orders at rate per second; 0 means as fast as answers
// come. It returns at the first request that is refused or ctx's end.
func (p *publisher) run(ctx context.Context, events int, rate float64) error {
	grow := max(1, int(rate/200))
	if rate == 0 {
		grow = maxBatch
	}
	start := p.now()
	for n, turn := 0, 0; n < events; turn++ {
		if rate > 0 {
			due := start.Add(time.Duration(float64(n) / rate * float64(time.Second)))
			if err := wait(ctx, due.Sub(p.now())); err != nil {
				return err
			}
		}
		size := requestSizes[turn%len(requestSizes)]
		if size > 1 {
			size = min(size*grow, maxBatch, events-n)
		}
		if err := p.send(ctx, p.channels[turn%len(p.channels)], n, size); err != nil {
			return err
		}
		n += size
	}
	return nil
}

// send publishes orders first … first+size-1 in one request.
func (p *publisher) send(ctx context.Context, c channel, first, size int) error {
	bodies := make([][]byte, size)
	for i := range bodies {
		o := orderNumber(first + i)
		bodies[i] = o.event(c.customer, p.now())
		for _, box := range c.customer.boxes {
			if box.wants(o) {
				p.ledger.expect(place{c.customer.name, box.name}, o.id())
			}
		}
	}
	contentType, body := "application/cloudevents+json", bodies[0]
	if size > 1 {
		contentType = "application/cloudevents-batch+json"
		body = append(append([]byte{'['}, bytes.Join(bodies, []byte{','})...), ']')
	}
	var err error
	for try := range publishTries {
		var again bool
		if again, err = p.post(ctx, c.stream, contentType, body); err == nil {
			p.sent.Add(int64(size))
			return nil
		}
		if !again {
			break
		}
		if werr := wait(ctx, time.Duration(try+1)*200*time.Millisecond); werr != nil {
			break
		}
	}
	return fmt.Errorf("publishing on channel %s: %w", c.stream.Channel, err)
}

// post sends one request. again says that a repeat may succeed; a repeat after
// an answer that got lost can lead to duplicates, which are counted.
func (p *publisher) post(ctx context.Context, s armclient.Stream, contentType string, body []byte) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Endpoint+"?api-version=2018-01-01", bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("aeg-sas-key", s.Key)
	req.Header.Set("aeg-channel-name", s.Channel)
	resp, err := p.http.Do(req)
	if err != nil {
		return ctx.Err() == nil, err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if resp.StatusCode == http.StatusOK {
		return false, nil
	}
	again = resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500
	return again, fmt.Errorf("answered %s: %s", resp.Status, bytes.Join(bytes.Fields(answer), []byte{' '}))
}

// wait pauses for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
