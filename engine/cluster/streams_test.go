package cluster_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/cluster"
)

func TestStreamsAreFew(t *testing.T) {
	s := startServer(t)
	open(t, options(s))
	js := peer(t, s)
	var got []string
	for info := range js.ListStreams(t.Context()).Info() {
		got = append(got, info.Config.Name)
		if c := info.Config; c.Storage != jetstream.FileStorage || c.Retention != jetstream.LimitsPolicy || c.Replicas != 1 {
			t.Errorf("%s: stored as %v, %v, %d times", c.Name, c.Storage, c.Retention, c.Replicas)
		}
	}
	want := []string{"INTERTIE_DELIVERIES", "INTERTIE_EVENTS", "INTERTIE_NOTES", "INTERTIE_STATE"}
	if diff := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Error(diff)
	}
}

// A tier is chosen by how long a delivery waits.
func TestTierFitsTheWait(t *testing.T) {
	s := startServer(t)
	o := options(s)
	o.Tiers = []time.Duration{time.Minute, time.Hour}
	e := open(t, o)
	stream, err := peer(t, s).Stream(t.Context(), "INTERTIE_DELIVERIES")
	if err != nil {
		t.Fatal(err)
	}
	for wait, subject := range map[time.Duration]string{
		-time.Hour:        "intertie.waiting.0",
		30 * time.Second:  "intertie.waiting.0",
		90 * time.Second:  "intertie.waiting.60000",
		59 * time.Minute:  "intertie.waiting.60000",
		61 * time.Minute:  "intertie.waiting.3600000",
		20 * time.Hour:    "intertie.waiting.3600000",
		1000 * time.Hour:  "intertie.waiting.0", // another clock
		-1000 * time.Hour: "intertie.waiting.0",
	} {
		if err := e.Move(t.Context(), []engine.Delivery{waiting("x", time.Now().Add(wait))}); err != nil {
			t.Fatal(err)
		}
		last, err := stream.GetLastMsgForSubject(t.Context(), "intertie.waiting.*")
		if err != nil || last.Subject != subject {
			t.Errorf("a wait of %v is in %v, %v", wait, last, err)
		}
	}
}

// Event Grid's delays with their jitter land in their own tier by default.
func TestDefaultTiersFitTheSchedule(t *testing.T) {
	schedule := []time.Duration{
		10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute,
		30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	}
	tiers := cluster.DefaultTiers()
	if !slices.IsSorted(tiers) {
		t.Errorf("tiers %v", tiers)
	}
	for i, d := range schedule {
		if own := tiers[len(tiers)-len(schedule)+i]; own != d*9/10 {
			t.Errorf("delay %v: tier %v", d, own)
		}
	}
}

func TestFormerTiersAreEmptied(t *testing.T) {
	s := startServer(t)
	o := options(s)
	o.Tiers = []time.Duration{400 * time.Millisecond}
	e := open(t, o)
	due := time.Now().Add(700 * time.Millisecond)
	if err := e.Move(t.Context(), []engine.Delivery{waiting("a", due), waiting("b", due)}); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	o.Tiers = []time.Duration{50 * time.Millisecond}
	e = open(t, o)
	if n := e.Counts().Deliveries[engine.Waiting]; n == 0 {
		t.Error("what waits in a former tier is not counted")
	}
	out := make(chan engine.Pending, 10)
	background(t, func(ctx context.Context) error {
		return e.Due(ctx, engine.Waiting, func(ps []engine.Pending) {
			for _, p := range ps {
				out <- p
			}
		})
	})
	for range 2 {
		p := within(t, out, "a delivery of a former tier")
		if early := time.Until(due); early > 0 {
			t.Errorf("%v early", early)
		}
		e.Done(p.Ref)
	}
}

// What becomes ready far from due is moved on, from tier to tier.
func TestDeliveriesOfAMessageMayBeFarApart(t *testing.T) {
	s := startServer(t)
	o := options(s)
	o.Tiers = []time.Duration{20 * time.Millisecond, 10 * time.Hour}
	e := open(t, o)
	now := time.Now()
	if err := e.Move(t.Context(), []engine.Delivery{
		waiting("3", now.Add(400*time.Millisecond)), waiting("1", now.Add(100*time.Millisecond)),
		waiting("2", now.Add(200*time.Millisecond)), waiting("4", now.Add(11*time.Hour)),
	}); err != nil {
		t.Fatal(err)
	}
	out := make(chan string, 10)
	background(t, func(ctx context.Context) error {
		return e.Due(ctx, engine.Waiting, func(ps []engine.Pending) {
			for _, p := range ps {
				out <- string(p.Head)
				e.Done(p.Ref)
			}
		})
	})
	for _, want := range []string{"1", "2", "3"} {
		if got := within(t, out, "a delivery"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	eventually(t, "one delivery to be left", func() bool {
		return e.Counts().Deliveries[engine.Waiting] == 1 && messages(t, peer(t, s), "INTERTIE_DELIVERIES") == 1
	})
}

func TestWhatIsSettledLeavesTheStreams(t *testing.T) {
	s := startServer(t)
	e := open(t, options(s))
	js := peer(t, s)
	background(t, func(ctx context.Context) error {
		return e.Events(ctx, func(r engine.Record) { e.Done(engine.Ref{Of: r.Of}) })
	})
	for range 10 {
		if err := e.Append(t.Context(), []byte("r"), 1); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the stream to shrink", func() bool { return messages(t, js, "INTERTIE_EVENTS") == 0 })
}

// A message of a newer program must neither be misread nor lost.
func TestNewerMessageIsKept(t *testing.T) {
	s := startServer(t)
	e := open(t, options(s))
	js := peer(t, s)
	ack, err := js.Publish(t.Context(), "intertie.waiting.0", []byte{200, 1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Move(t.Context(), []engine.Delivery{waiting("mine", time.Now())}); err != nil {
		t.Fatal(err)
	}
	out := make(chan engine.Pending, 1)
	background(t, func(ctx context.Context) error {
		return e.Due(ctx, engine.Waiting, func(ps []engine.Pending) { out <- ps[0] })
	})
	p := within(t, out, "what can be read")
	if string(p.Head) != "mine" {
		t.Errorf("got %q", p.Head)
	}
	e.Done(p.Ref)
	stream, err := js.Stream(t.Context(), "INTERTIE_DELIVERIES")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other to be counted", func() bool { return e.Counts().Deliveries[engine.Waiting] == 1 })
	if _, err := stream.GetMsg(t.Context(), ack.Sequence); err != nil {
		t.Errorf("the message of the newer program: %v", err)
	}
}

// A subscription has a consumer only while it is being read.
func TestConsumersOfSpilledGo(t *testing.T) {
	s := startServer(t)
	e := open(t, options(s))
	sub := [16]byte{7}
	if err := e.Move(t.Context(), []engine.Delivery{spilled(sub, "1"), spilled(sub, "2")}); err != nil {
		t.Fatal(err)
	}
	stream, err := peer(t, s).Stream(t.Context(), "INTERTIE_DELIVERIES")
	if err != nil {
		t.Fatal(err)
	}
	consumers := func() (n int) {
		for c := range stream.ListConsumers(t.Context()).Info() {
			if strings.HasPrefix(c.Name, "spilled_") {
				n++
			}
		}
		return n
	}
	if n := consumers(); n != 0 {
		t.Errorf("%d before anybody reads", n)
	}
	err = e.ReadSpilled(t.Context(), sub, func(ps []engine.Pending) {
		if n := consumers(); n != 1 {
			t.Errorf("%d while it is read", n)
		}
		for _, p := range ps {
			e.Done(p.Ref)
		}
	})
	if n := consumers(); err != nil || n != 0 {
		t.Errorf("%d afterwards, %v", n, err)
	}
}

// What is settled of a message of which the rest is not comes neither after a clean
// end nor, a moment later, after a crash.
func TestPartsThatAreSettledDoNotComeAgain(t *testing.T) {
	s := startServer(t)
	e := open(t, options(s))
	if err := e.Append(t.Context(), []byte("r"), 70); err != nil {
		t.Fatal(err)
	}
	for round := range 4 {
		got := make(chan engine.Record, 1)
		stop := background(t, func(ctx context.Context) error {
			return e.Events(ctx, func(r engine.Record) { got <- r })
		})
		r := within(t, got, "the record")
		for i := range 70 {
			if settled := r.Settled != nil && r.Settled[i]; settled != (i < round*20) {
				t.Fatalf("round %d: event %d is settled: %v", round, i, settled)
			}
		}
		notes, err := peer(t, s).Stream(t.Context(), "INTERTIE_NOTES")
		if err != nil {
			t.Fatal(err)
		}
		newest := notes.CachedInfo().State.LastSeq
		for i := range 20 {
			e.Done(engine.Ref{Of: r.Of, Index: round*20 + i})
		}
		stop()
		if round == 3 {
			break
		}
		if round%2 == 0 {
			eventually(t, "it to be written down", func() bool {
				i, err := notes.Info(t.Context())
				return err == nil && i.State.LastSeq > newest
			})
			e.Abandon()
		} else if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		e = open(t, options(s))
	}
	eventually(t, "nothing to be left", func() bool { return e.Counts() == engine.Counts{} })
}

// A consumer that somebody deletes is made anew. What was settled is known, here.
func TestADeletedConsumerIsMadeAnew(t *testing.T) {
	s := startServer(t)
	e := open(t, options(s))
	js := peer(t, s)
	got := make(chan string, 10)
	background(t, func(ctx context.Context) error {
		return e.Events(ctx, func(r engine.Record) {
			got <- string(r.Data)
			e.Done(engine.Ref{Of: r.Of})
		})
	})
	background(t, func(ctx context.Context) error {
		return e.Due(ctx, engine.Waiting, func(ps []engine.Pending) {
			for _, p := range ps {
				got <- string(p.Head)
				e.Done(p.Ref)
			}
		})
	})
	for i, want := range []string{"1", "2", "3"} {
		if err := e.Append(t.Context(), []byte(want), 1); err != nil {
			t.Fatal(err)
		}
		if text := within(t, got, "a record"); text != want {
			t.Errorf("got %s, want %s", text, want)
		}
		if err := e.Move(t.Context(), []engine.Delivery{waiting(want, time.Now())}); err != nil {
			t.Fatal(err)
		}
		if text := within(t, got, "a delivery"); text != want {
			t.Errorf("got %s, want %s", text, want)
		}
		if i == 2 {
			break
		}
		if err := js.DeleteConsumer(t.Context(), "INTERTIE_EVENTS", "events"); err != nil {
			t.Fatal(err)
		}
		if err := js.DeleteConsumer(t.Context(), "INTERTIE_DELIVERIES", "waiting_0"); err != nil {
			t.Fatal(err)
		}
	}
}
