package arm

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/intertie/intertie/activity"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/template"
)

// DeploymentOptions bounds the template deployments of a server. Zero values
// stand for the defaults.
type DeploymentOptions struct {
	// Concurrent is how many run at once: 64. A deployment that waits for
	// somebody's consent counts as running.
	Concurrent int
	// PerSubscription is how many of them one subscription may have: 16, so that
	// it cannot keep the others waiting.
	PerSubscription int
	// Open is how many one subscription may have running and waiting: 64. One more
	// is refused with 429. All together may have eight times as many.
	Open int
	// Shared is set when other processes work on the same store. A deployment
	// that nobody runs is then told by its silence, not by the start of this
	// process.
	Shared bool
}

// The requests of deployments that run or wait, in bytes: what one subscription may
// have, and all together. One that runs takes many times the size of its request.
const (
	openBytesEach = 8 << 20
	openBytes     = 32 << 20
)

func (o DeploymentOptions) withDefaults() DeploymentOptions {
	set := func(n *int, def int) {
		if *n <= 0 {
			*n = def
		}
	}
	set(&o.Concurrent, 64)
	set(&o.PerSubscription, 16)
	set(&o.Open, 64)
	return o
}

const (
	// heartbeat is how often a process says which deployments it runs, where
	// others could take them for abandoned, and looks for those of others.
	heartbeat = 30 * time.Second
	// silence is how long none was heard of one that is abandoned.
	silence = 4 * heartbeat
	// lastWords bounds how long the ends of deployments may take to be written while
	// the server stops. What is not written by then the next start finds.
	lastWords = 5 * time.Second
)

// Deployments runs template deployments. [Deployments.Run] must be running for
// anything to happen; until then what is accepted waits. What was running when
// the process ended is found by the next Run and ends as failed.
//
// It is safe for concurrent use.
type Deployments struct {
	opts DeploymentOptions
	h    *Handler

	mu      sync.Mutex     // protects the fields below
	open    map[string]int // running and waiting, by lower-case subscription
	total   int
	bytes   map[string]int // of their requests
	size    int            // of all of them
	waiting []*job
	doubted []*job         // that may be stored or not
	running map[string]int // by lower-case subscription
	active  int
	live    map[resource.UID]*progress // of jobs, and of the nested deployments under way
	closed  bool

	wake chan struct{}
}

// NewDeployments returns a runner for [Handler.Deployments].
func NewDeployments(opts DeploymentOptions) *Deployments {
	return &Deployments{
		opts: opts.withDefaults(), open: map[string]int{}, bytes: map[string]int{}, running: map[string]int{}, live: map[resource.UID]*progress{},
		wake: make(chan struct{}, 1),
	}
}

// job is a deployment that was accepted. The values of secure parameters are in
// it and nowhere else.
type job struct {
	id      resource.ID
	uid     resource.UID
	wanted  *template.Request // nil while it waits
	body    []byte            // of the request; nil for a nested one
	as      behalf
	started time.Time
	source  []byte // the template as plain JSON, and its hash; see [job.read]
	hash    string
	tell    func(outcome error, changes []activity.Change)
}

// read makes what is stored of the template, before a transaction needs it: that may
// take a while for a large one, and others wait for it.
func (j *job) read() *job {
	j.source, j.hash = j.wanted.Template.JSON(), j.wanted.Template.Hash()
	return j
}

func (j *job) subscription() string { return strings.ToLower(j.id.Subscription) }

// progress is what a deployment under way has done.
type progress struct {
	id  resource.ID
	mu  sync.Mutex // protects ops
	ops []deploymentOperation
}

func (d *Deployments) job(rq *request, id resource.ID, wanted *template.Request, body []byte) *job {
	return &job{id: id, uid: resource.NewUID(), wanted: wanted, body: body, as: behalfOf(rq), started: rq.now}
}

// accepted makes a job tell of its end as of that of the request, as far as that has
// come. The request itself ends long before.
func (d *Deployments) accepted(j *job, rq *request) {
	later := *rq
	later.http, later.out, later.held = j.as.origin, nil, nil
	j.tell = func(outcome error, changes []activity.Change) {
		later.changes = changes
		d.h.tell(&later, outcome, d.h.Now())
	}
}

// reserve takes a place for a job, or says why there is none.
func (d *Deployments) reserve(j *job) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return resource.Errorf(resource.Unavailable, "The server is stopping; try again.")
	case d.open[j.subscription()] >= d.opts.Open:
		return resource.Errorf(codeTooManyRequests, "The subscription has %d deployments running or waiting already; try again when one has ended.", d.opts.Open)
	case d.total >= 8*d.opts.Open:
		return resource.Errorf(codeTooManyRequests, "The server has %d deployments running or waiting already; try again later.", d.total)
	case d.bytes[j.subscription()] > 0 && d.bytes[j.subscription()]+len(j.body) > openBytesEach:
		return resource.Errorf(codeTooManyRequests, "The templates of the subscription's deployments that run or wait have %d bytes already; try again when one has ended.", d.bytes[j.subscription()])
	case d.size+len(j.body) > openBytes:
		return resource.Errorf(codeTooManyRequests, "The templates of the server's deployments that run or wait have %d bytes already; try again later.", d.size)
	}
	d.open[j.subscription()]++
	d.total++
	count(d.bytes, j.subscription(), len(j.body))
	d.size += len(j.body)
	d.live[j.uid] = &progress{id: j.id}
	return nil
}

// release gives the place of a job back.
func (d *Deployments) release(j *job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	count(d.open, j.subscription(), -1)
	d.total--
	count(d.bytes, j.subscription(), -len(j.body))
	d.size -= len(j.body)
	delete(d.live, j.uid)
}

func count(m map[string]int, key string, by int) {
	if m[key] += by; m[key] == 0 {
		delete(m, key)
	}
}

// start lets a job begin as soon as it may. While it waits it keeps its request as
// it was sent: read, it takes many times as much.
func (d *Deployments) start(j *job) {
	j.wanted, j.source = nil, nil
	d.mu.Lock()
	d.waiting = append(d.waiting, j)
	d.mu.Unlock()
	d.nudge()
}

// doubt keeps the place of a job of which it is not known whether it is stored. It
// is started when it shows itself.
func (d *Deployments) doubt(j *job) {
	d.mu.Lock()
	d.doubted = append(d.doubted, j)
	d.mu.Unlock()
	d.nudge()
}

// resolve starts the jobs in doubt that are stored by now, and gives up those that
// have not shown themselves for a while.
func (d *Deployments) resolve() {
	d.mu.Lock()
	doubted := d.doubted
	d.doubted = nil
	d.mu.Unlock()
	for _, j := range doubted {
		r, ok := d.h.Store.Get(j.id)
		switch {
		case ok && r.UID == j.uid:
			d.start(j)
		case d.h.Now().Sub(j.started) > silence:
			d.release(j)
		default:
			d.mu.Lock()
			d.doubted = append(d.doubted, j)
			d.mu.Unlock()
		}
	}
}

func (d *Deployments) nudge() {
	select {
	case d.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// next takes the job that waits longest among those that may begin.
func (d *Deployments) next() *job {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.active >= d.opts.Concurrent {
		return nil
	}
	for i, j := range d.waiting {
		if d.running[j.subscription()] < d.opts.PerSubscription {
			d.waiting = append(d.waiting[:i:i], d.waiting[i+1:]...)
			d.active++
			count(d.running, j.subscription(), 1)
			return j
		}
	}
	return nil
}

// Run runs deployments until ctx ends, and returns when the last one has come to
// its end: it finishes no resource that it has not begun. It must be called once.
func (d *Deployments) Run(ctx context.Context) error {
	if err := d.endAbandoned(ctx, interrupted("it ended")); err != nil {
		d.h.Logger.Error("deployments of the time before could not be ended", "error", err)
	}
	var jobs sync.WaitGroup
	beats := time.NewTicker(heartbeat)
	defer beats.Stop()
	for {
		d.resolve()
		for j := d.next(); j != nil; j = d.next() {
			jobs.Go(func() {
				d.run(ctx, j)
				d.mu.Lock()
				d.active--
				count(d.running, j.subscription(), -1)
				d.mu.Unlock()
				d.release(j)
				d.nudge()
			})
		}
		select {
		case <-ctx.Done():
			d.close(ctx, &jobs)
			return nil
		case <-d.wake:
		case <-beats.C:
			d.beat(ctx)
		}
	}
}

// close refuses new deployments, waits for those under way, and ends those that
// never began, as far as that is possible within lastWords. ctx has ended.
func (d *Deployments) close(ctx context.Context, jobs *sync.WaitGroup) {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	jobs.Wait()
	d.mu.Lock()
	never := slices.Concat(d.waiting, d.doubted)
	d.waiting, d.doubted = nil, nil
	d.mu.Unlock()
	until := time.Now().Add(lastWords)
	for i, j := range never {
		if time.Now().After(until) {
			d.h.Logger.Error("the ends of deployments that never began could not be written in time; the next start ends them", "deployments", len(never)-i)
			return
		}
		d.finish(ctx, j, &template.Result{}, interrupted("it began"))
		d.release(j)
	}
}
