package cluster_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/cluster"
	"github.com/intertie/intertie/engine/enginetest"
)

// place is the streams of one server.
type place struct {
	t      testing.TB
	server *server.Server
	shift  atomic.Int64
}

func (p *place) Now() time.Time        { return time.Now().Add(time.Duration(p.shift.Load())) }
func (p *place) Shift(d time.Duration) { p.shift.Add(int64(d)) }

func (p *place) Open(ctx context.Context) (engine.Engine, error) {
	o := options(p.server)
	o.Now = p.Now
	return cluster.Open(ctx, o)
}

func (p *place) Crash(e engine.Engine) { e.(*cluster.Engine).Abandon() }

// Fill takes all room. An engine knows of it when a write was refused.
func (p *place) Fill(e engine.Engine, full bool) {
	if !full {
		limit(p.t, p.server, -1)
		return
	}
	limit(p.t, p.server, 1)
	if err := e.Append(context.Background(), []byte("nothing"), 1); !errors.Is(err, engine.ErrNoSpace) {
		p.t.Errorf("append without room: %v", err)
	}
}

func TestConformance(t *testing.T) {
	checks := 12
	if testing.Short() {
		checks = 5
	}
	enginetest.Run(t, enginetest.Harness{
		New: func(t testing.TB) enginetest.Place {
			// It is the engine that crashes here, not the server: syncing costs time only.
			return &place{t: t, server: startServer(t, func(o *server.Options) { o.SyncAlways = false })}
		},
		Checks:   checks,
		Patience: time.Minute,
		Leaks: []goleak.Option{
			// The server lives on, with the consumers of its streams.
			goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*consumer).setLeader.func2"),
			goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*consumer).setLeader.func3"),
			goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*consumer).setLeader.func4"),
		},
	})
}
