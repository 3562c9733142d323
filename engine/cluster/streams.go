package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// Names of the streams and their subjects.
const (
	eventStream    = "INTERTIE_EVENTS"
	deliveryStream = "INTERTIE_DELIVERIES"
	noteStream     = "INTERTIE_NOTES"
	stateStream    = "INTERTIE_STATE"

	eventSubject       = "intertie.events"
	waitSubject        = "intertie.waiting."     // and the tier's delay in milliseconds
	deadSubject        = "intertie.deadletters." // likewise
	spillSubject       = "intertie.spilled."     // and the subscription
	noteSubject        = "intertie.notes."       // and the process, see notes.go
	stateSubject       = "intertie.state."       // and the key, see key.go
	transactionSubject = "intertie.transaction"  // the newest of several writes, whole
)

// How many messages of a source may be handed out and not settled. Beyond it the
// source stands still.
const (
	recordsOut    = 8192
	deliveriesOut = 1024
)

// format is that of all streams together; they say it in their metadata, so that an
// older program leaves newer streams alone.
const (
	format    = 2
	formatKey = "intertie-format"
)

// unlimited is more messages than a subject ever has. With that limit nats-server
// writes blocks of 4 MB instead of 8 MB, and it keeps those in use in memory.
const unlimited = 1 << 50

// errNewer says that something was written by a newer program.
var errNewer = errors.New("written by a newer version of Intertie")

// open opens streams and consumers, and creates what is missing. None of the streams
// has AllowDirect: what is read must be the leader's.
func (e *Engine) open(ctx context.Context) error {
	var events, notes jetstream.Stream
	g, within := errgroup.WithContext(ctx)
	for to, c := range map[*jetstream.Stream]jetstream.StreamConfig{
		&events: {
			Name: eventStream, Description: "Intertie: accepted events", Subjects: []string{eventSubject},
			MaxMsgsPerSubject: unlimited, Duplicates: duplicateWindow,
		},
		&e.deliveries: {
			Name: deliveryStream, Description: "Intertie: deliveries that wait",
			Subjects:          []string{waitSubject + "*", deadSubject + "*", spillSubject + "*"},
			MaxMsgsPerSubject: unlimited, Duplicates: duplicateWindow,
		},
		&notes: {
			Name: noteStream, Description: "Intertie: what is settled in part", Subjects: []string{noteSubject + "*"},
			MaxMsgsPerSubject: 1, Duplicates: duplicateWindow, AllowMsgTTL: true,
		},
		&e.state: {
			Name: stateStream, Description: "Intertie: the newest value of each resource",
			Subjects:          []string{stateSubject + ">", transactionSubject},
			MaxMsgsPerSubject: 1, AllowMsgTTL: true,
		},
	} {
		g.Go(func() (err error) {
			*to, err = e.openStream(within, c)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := e.readNotes(ctx, notes); err != nil {
		return err
	}
	e.spills = spills{engine: e, subs: make(map[resource.UID]*spill)}
	g, within = errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		e.events, err = e.openSource(within, events, eventSubject, recordsOut)
		return err
	})
	g.Go(func() error { return e.openTiers(within, engine.Waiting, waitSubject, e.opts.Tiers) })
	g.Go(func() error { return e.openTiers(within, engine.DeadLetters, deadSubject, deadTiers()) })
	g.Go(func() error { return e.countSpilled(within) })
	return g.Wait()
}

// openTiers opens the tiers of a queue, and those of former days that still hold
// something.
func (e *Engine) openTiers(ctx context.Context, q engine.Queue, prefix string, delays []time.Duration) error {
	l := &line{engine: e, queue: q, fits: len(delays) + 1, near: newNear()}
	e.lines[q] = l
	delays = append([]time.Duration{0}, delays...)
	there, err := e.subjects(ctx, prefix+"*")
	if err != nil {
		return err
	}
	for subject := range there {
		ms, err := strconv.ParseInt(strings.TrimPrefix(subject, prefix), 10, 64)
		if d := time.Duration(ms) * time.Millisecond; err == nil && !slices.Contains(delays, d) {
			delays = append(delays, d)
		}
	}
	l.tiers = make([]tier, len(delays))
	g, ctx := errgroup.WithContext(ctx)
	for i, d := range delays {
		g.Go(func() (err error) {
			l.tiers[i].delay = d
			l.tiers[i].source, err = e.openSource(ctx, e.deliveries, prefix+strconv.FormatInt(d.Milliseconds(), 10), deliveriesOut)
			return err
		})
	}
	return g.Wait()
}

// openStream creates a stream or brings it up to date. It only asks when there is
// nothing to do: an update costs a write.
func (e *Engine) openStream(ctx context.Context, c jetstream.StreamConfig) (jetstream.Stream, error) {
	s, err := e.js.Stream(ctx, c.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return e.createStream(ctx, c)
	}
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", c.Name, err)
	}
	have := s.CachedInfo().Config
	switch is, _ := strconv.Atoi(have.Metadata[formatKey]); {
	case is > format:
		return nil, fmt.Errorf("stream %s has format %d, this program reads up to %d: %w", c.Name, is, format, errNewer)
	case is < format:
		return nil, fmt.Errorf("stream %s was written by an older version of Intertie, which this one cannot read: use another NATS account", c.Name)
	}
	if e.opts.Replicas == 0 || have.Replicas == e.opts.Replicas {
		return s, nil
	}
	have.Replicas = e.opts.Replicas
	if s, err = e.js.UpdateStream(ctx, have); err != nil {
		return nil, fmt.Errorf("give stream %s %d replicas: %w", c.Name, have.Replicas, err)
	}
	return s, nil
}

// createStream creates a stream with as many replicas as are wanted, or with three
// where there are enough servers.
func (e *Engine) createStream(ctx context.Context, c jetstream.StreamConfig) (jetstream.Stream, error) {
	c.Storage, c.Retention = jetstream.FileStorage, jetstream.LimitsPolicy
	c.Metadata = map[string]string{formatKey: strconv.Itoa(format)}
	wanted := []int{e.opts.Replicas}
	if e.opts.Replicas == 0 {
		wanted = []int{1}
		if e.conn.ConnectedClusterName() != "" {
			wanted = []int{3, 1}
		}
	}
	for i, n := range wanted {
		c.Replicas = n
		s, err := e.js.CreateStream(ctx, c)
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse): // another node was faster
			return e.openStream(ctx, c)
		case !isCode(err, noSuitablePeers) || i == len(wanted)-1:
			return nil, fmt.Errorf("create stream %s with %d replicas: %w", c.Name, n, err)
		}
		e.opts.Logger.Warn("a stream gets one replica, since three servers are not there: what it holds is lost with its server", "stream", c.Name, "error", err)
	}
	panic("unreachable")
}

// openSource opens a subject with its durable consumer.
func (e *Engine) openSource(ctx context.Context, stream jetstream.Stream, subject string, out int) (*source, error) {
	s := e.newSource(stream, subject, out, e.fill)
	c, err := stream.Consumer(ctx, s.config.Durable)
	if err == nil && c.CachedInfo().Config.AckWait == e.opts.AckWait && c.CachedInfo().Config.MaxAckPending == out {
		s.setReader(c)
	} else if err := s.open(ctx); err != nil {
		return nil, err
	}
	s.count(s.reader().CachedInfo())
	return s, nil
}
