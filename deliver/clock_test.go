package deliver

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intertie/intertie/destination"
)

// By a clock that is a year ahead everything is over. While it is doubted nothing ends
// because of that, and what fails is tried again at the usual pace.
func TestADoubtedClockEndsNothing(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for name, tt := range map[string]struct {
		doubted  time.Duration // from the start on
		expires  bool          // the subscription, by this clock
		attempts int
		dropped  string
	}{
		"believed":                    {dropped: "TimeToLiveExceeded"},
		"believed, subscription over": {expires: true, dropped: "SubscriptionExpired"},
		"doubted":                     {doubted: time.Hour, attempts: 3},
		"doubted, subscription over":  {doubted: time.Hour, expires: true, attempts: 3},
		"doubted until after a try":   {doubted: 5 * time.Second, attempts: 1, dropped: "TimeToLiveExceeded"},
		"the same, subscription over": {doubted: 5 * time.Second, expires: true, attempts: 1, dropped: "SubscriptionExpired"},
	} {
		t.Run(name, func(t *testing.T) {
			var doubted atomic.Bool
			doubted.Store(tt.doubted > 0)
			rec := newRecorder()
			inBubble(t, func(*rig) []*Subscription {
				rec.start = time.Now()
				s := sub(t, 1, rec.around(always(erred)))
				s.MaxAttempts = 3
				if tt.expires {
					s.Expires = time.Now().Add(-100 * 24 * time.Hour)
				}
				return []*Subscription{s}
			}, func(r *rig) {
				e := entry(0)
				e.Published = e.Published.Add(-year)
				r.disk.publish(e)
				pass(tt.doubted)
				doubted.Store(false)
				pass(24 * time.Hour)
				visits := rec.visits()
				if len(visits) != tt.attempts {
					t.Fatalf("attempts: %v, want %d", visits, tt.attempts)
				}
				if len(visits) == 3 && (visits[1].at < 10*time.Second || visits[2].at < 40*time.Second) {
					t.Errorf("too fast: %v", visits)
				}
				if tt.dropped == "" {
					tt.dropped = "MaxDeliveryAttemptsExceeded"
				}
				if r.value(t, "eventgrid_dropped_total", tt.dropped) != 1 {
					t.Errorf("not dropped because of %s", tt.dropped)
				}
			}, func(o *Options) { o.Doubted = doubted.Load })
		})
	}
}

// Dead letters that their store refuses are not dropped by a clock that is doubted.
func TestADoubtedClockKeepsDeadLetters(t *testing.T) {
	var doubted atomic.Bool
	store := &blobs{refuse: func() error { return errors.New("down") }}
	inBubble(t, func(*rig) []*Subscription {
		s := sub(t, 1, always(destination.Verdict{Outcome: destination.BadRequest}))
		s.DeadLetter = &DeadLetter{Store: store, Container: "dead"}
		return []*Subscription{s}
	}, func(r *rig) {
		r.disk.publish(entry(0))
		pass(time.Hour)
		doubted.Store(true)
		pass(24 * time.Hour)
		if r.disk.count(queueDead) != 1 {
			t.Error("given up while the clock was doubted")
		}
		doubted.Store(false)
		pass(time.Hour)
		if r.value(t, "eventgrid_dropped_total", "DeadLetterDestinationUnavailable") != 1 {
			t.Error("kept when it is believed")
		}
	}, func(o *Options) { o.Doubted = doubted.Load })
}

func TestNothingWaitsForAClockThatWasAhead(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	wrong := now.AddDate(1, 0, 0)
	c := &circuit{longest: longestProbation}
	c.fail(0, time.Minute, wrong)
	if c.state(wrong) != Open || c.state(now) != HalfOpen {
		t.Errorf("then %s, now %s", c.state(wrong), c.state(now))
	}
	if c.fail(c.round, time.Minute, now); !c.until.Equal(now.Add(time.Minute)) {
		t.Errorf("the next failure leaves it alone until %v", c.until)
	}
	var g graves
	g.refused(wrong, time.Hour)
	if !g.leftAlone(wrong) || g.leftAlone(now) || !g.admits(1, 0, now) {
		t.Error("the store is left alone for a year")
	}
}
