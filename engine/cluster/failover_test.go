package cluster_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/cluster"
)

// serverEnv makes this program a NATS server: its folder, number, and the client
// and route ports of all three.
const serverEnv = "INTERTIE_TEST_NATS"

func runAsServer() bool {
	args := strings.Fields(os.Getenv(serverEnv))
	if len(args) == 0 {
		return false
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		panic(err)
	}
	ports := make([]int, len(args)-2)
	for i, a := range args[2:] {
		if ports[i], err = strconv.Atoi(a); err != nil {
			panic(err)
		}
	}
	o := &server.Options{
		ServerName: fmt.Sprintf("n%d", n), Host: "127.0.0.1", Port: ports[n], MaxPayload: 8 << 20,
		JetStream: true, StoreDir: args[0], SyncAlways: true, NoLog: true, NoSigs: true,
		JetStreamMaxStore: 1 << 40, JetStreamMaxMemory: 1 << 30,
		Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: ports[3+n]},
	}
	for _, p := range ports[3:] {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", p)})
	}
	s, err := server.NewServer(o)
	if err != nil {
		panic(err)
	}
	s.Start()
	s.WaitForShutdown()
	return true
}

// trio is a cluster of three servers, each a process.
type trio struct {
	t     *testing.T
	dirs  [3]string
	ports []int
	procs [3]*exec.Cmd
}

func startTrio(t *testing.T) *trio {
	t.Helper()
	c := &trio{t: t}
	for range 6 { // a server must know the route ports of the others beforehand
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c.ports = append(c.ports, l.Addr().(*net.TCPAddr).Port)
		defer func() { _ = l.Close() }()
	}
	for i := range c.dirs {
		c.dirs[i] = t.TempDir()
	}
	t.Cleanup(func() {
		for i := range c.procs {
			c.kill(i)
		}
	})
	return c
}

func (c *trio) start(i int) {
	c.t.Helper()
	args := []string{c.dirs[i], strconv.Itoa(i)}
	for _, p := range c.ports {
		args = append(args, strconv.Itoa(p))
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverEnv+"="+strings.Join(args, " "))
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.procs[i] = cmd
}

func (c *trio) kill(i int) {
	if c.procs[i] == nil {
		return
	}
	_ = c.procs[i].Process.Kill()
	_ = c.procs[i].Wait()
	c.procs[i] = nil
}

func (c *trio) url() string {
	var urls []string
	for _, p := range c.ports[:3] {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", p))
	}
	return strings.Join(urls, ",")
}

// gap is the longest pause between two moments.
type gap struct {
	mu         sync.Mutex
	last, from time.Time
	longest    time.Duration
}

func (g *gap) tick() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if d := now.Sub(g.last); !g.last.IsZero() && d > g.longest {
		g.longest, g.from = d, g.last
	}
	g.last = now
}

func (g *gap) take() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.longest
	g.longest = 0
	return d
}

// The server that leads a stream is killed under load, several times. Nothing that
// was acknowledged is lost, and callers wait for the election instead of an error.
func TestKilledLeader(t *testing.T) {
	if testing.Short() {
		t.Skip("elections take their time")
	}
	c := startTrio(t)
	for i := range c.procs {
		c.start(i)
	}
	var e *cluster.Engine
	began := time.Now()
	eventually(t, "the cluster", func() bool {
		var err error
		e, err = cluster.Open(t.Context(), cluster.Options{URL: c.url(), TruncateEvery: 200 * time.Millisecond})
		return err == nil
	})
	t.Logf("open on an empty cluster, with its start: %v", time.Since(began))
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	conn, err := nats.Connect(c.url(), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}

	var publishing, delivering gap
	var mu sync.Mutex
	acknowledged, seen := map[uint64]bool{}, map[uint64]int{}
	var next atomic.Uint64
	var failed atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				id := next.Add(1)
				err := e.Append(ctx, binary.BigEndian.AppendUint64(nil, id), 1)
				if err == nil {
					publishing.tick()
					mu.Lock()
					acknowledged[id] = true
					mu.Unlock()
				} else if ctx.Err() == nil {
					failed.Add(1)
					t.Logf("append: %v", err)
				}
			}
		})
	}
	endRead := background(t, func(ctx context.Context) error {
		return e.Events(ctx, func(r engine.Record) {
			delivering.tick()
			mu.Lock()
			seen[binary.BigEndian.Uint64(r.Data)]++
			mu.Unlock()
			e.Done(engine.Ref{Of: r.Of})
		})
	})
	progress := func() int {
		mu.Lock()
		defer mu.Unlock()
		return min(len(acknowledged), len(seen))
	}
	more := func(what string) {
		from := progress()
		eventually(t, what, func() bool { return progress() > from+200 })
	}
	more("a start")
	for round, of := range []string{"stream", "consumer", "stream"} {
		publishing.take()
		delivering.take()
		s, err := js.Stream(t.Context(), "INTERTIE_EVENTS")
		if err != nil {
			t.Fatal(err)
		}
		leader := s.CachedInfo().Cluster.Leader
		if s.CachedInfo().Config.Replicas != 3 {
			t.Errorf("%d replicas", s.CachedInfo().Config.Replicas)
		}
		if of == "consumer" {
			cons, err := s.Consumer(t.Context(), "events")
			if err != nil {
				t.Fatal(err)
			}
			leader = cons.CachedInfo().Cluster.Leader
		}
		n, err := strconv.Atoi(strings.TrimPrefix(leader, "n"))
		if err != nil {
			t.Fatal(err)
		}
		c.kill(n)
		more(fmt.Sprintf("life without the leader of the %s", of))
		t.Logf("round %d: without the leader of the %s: publishing silent for %v, delivery for %v", round, of, publishing.take(), delivering.take())
		c.start(n)
		eventually(t, "the server to be back", func() bool {
			i, err := s.Info(t.Context())
			if err != nil || len(i.Cluster.Replicas) != 2 {
				return false
			}
			for _, r := range i.Cluster.Replicas {
				if !r.Current {
					return false
				}
			}
			return true
		})
		more("life with it")
	}
	stop()
	load.Wait()
	eventually(t, "all that was acknowledged", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for id := range acknowledged {
			if seen[id] == 0 {
				return false
			}
		}
		return true
	})
	endRead()
	repeated := 0
	for _, n := range seen {
		repeated += n - 1
	}
	t.Logf("%d acknowledged, %d refused, %d came again", len(acknowledged), failed.Load(), repeated)
	if failed.Load() > 0 {
		t.Errorf("%d appends failed", failed.Load())
	}
	began = time.Now()
	second, err := cluster.Open(t.Context(), cluster.Options{URL: c.url()})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("open of what is there: %v", time.Since(began))
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if e.Err() != nil || errors.Is(e.Room(), engine.ErrNoSpace) {
		t.Errorf("%v, %v", e.Err(), e.Room())
	}
}
