package arm

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

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
	// lastWords bounds how long the end of a deployment may take to be written
	// while the server stops.
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
	waiting []*job
	running map[string]int // by lower-case subscription
	active  int
	live    map[resource.UID]*progress // of jobs, and of the nested deployments under way
	closed  bool

	wake chan struct{}
}

// NewDeployments returns a runner for [Handler.Deployments].
func NewDeployments(opts DeploymentOptions) *Deployments {
	return &Deployments{
		opts: opts.withDefaults(), open: map[string]int{}, running: map[string]int{}, live: map[resource.UID]*progress{},
		wake: make(chan struct{}, 1),
	}
}

// job is a deployment that was accepted. The values of secure parameters are in
// it and nowhere else.
type job struct {
	id      resource.ID
	uid     resource.UID
	wanted  *template.Request
	as      behalf
	started time.Time
	tell    func(outcome error, changes []activity.Change)
}

func (j *job) subscription() string { return strings.ToLower(j.id.Subscription) }

// progress is what a deployment under way has done.
type progress struct {
	id  resource.ID
	mu  sync.Mutex // protects ops
	ops []deploymentOperation
}

func (d *Deployments) job(rq *request, id resource.ID, wanted *template.Request) *job {
	j := &job{id: id, uid: resource.NewUID(), wanted: wanted, as: behalfOf(rq), started: rq.now}
	j.tell = func(outcome error, changes []activity.Change) {
		later := *rq
		later.http = j.as.origin
		later.changes = changes
		d.h.tell(&later, outcome, d.h.Now())
	}
	return j
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
	}
	d.open[j.subscription()]++
	d.total++
	d.live[j.uid] = &progress{id: j.id}
	return nil
}

// release gives the place of a job back.
func (d *Deployments) release(j *job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	count(d.open, j.subscription(), -1)
	d.total--
	delete(d.live, j.uid)
}

func count(m map[string]int, key string, by int) {
	if m[key] += by; m[key] == 0 {
		delete(m, key)
	}
}

// start lets a job begin as soon as it may.
func (d *Deployments) start(j *job) {
	d.mu.Lock()
	d.waiting = append(d.waiting, j)
	d.mu.Unlock()
	d.nudge()
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
	if err := d.endAbandoned(ctx); err != nil {
		d.h.Logger.Error("deployments of the time before could not be ended", "error", err)
	}
	var jobs sync.WaitGroup
	beats := time.NewTicker(heartbeat)
	defer beats.Stop()
	for {
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
			d.close(&jobs)
			return nil
		case <-d.wake:
		case <-beats.C:
			if d.opts.Shared {
				d.beat(ctx)
			}
		}
	}
}

// close refuses new deployments, waits for those under way, and ends those that
// never began.
func (d *Deployments) close(jobs *sync.WaitGroup) {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	jobs.Wait()
	d.mu.Lock()
	never := d.waiting
	d.waiting = nil
	d.mu.Unlock()
	for _, j := range never {
		d.finish(context.Background(), j, &template.Result{}, interrupted("it began"))
		d.release(j)
	}
}

// interrupted is the end of a deployment that the server did not get to finish.
func interrupted(when string) error {
	return &template.Error{
		Message: "The server stopped before " + when + "; what it had made until then stays.",
		Cause:   resource.Errorf(resource.Unavailable, "The server stopped before %s; what it had made until then stays. Deploy again to make the rest.", when),
	}
}

// run carries out one deployment.
func (d *Deployments) run(ctx context.Context, j *job) {
	result, err := d.deploy(ctx, j)
	if ctx.Err() != nil && err != nil {
		err = interrupted("it ended")
	}
	d.finish(ctx, j, result, err)
}

func (d *Deployments) deploy(ctx context.Context, j *job) (result *template.Result, err error) {
	result = &template.Result{}
	defer func() {
		// A template must not be able to end the server.
		if p := recover(); p != nil {
			d.h.Logger.Error("a deployment panicked", "deployment", j.id.String(), "panic", p, "stack", string(debug.Stack()))
			err = &template.Error{Message: "The server encountered an error; its log tells more."}
		}
	}()
	if err := d.update(ctx, j.id, j.uid, func(r *deployment) { r.State = stateRunning }); err != nil {
		return result, err
	}
	p := d.newDeployer(j)
	if result, err = j.wanted.Template.Deploy(ctx, p, inputOf(j)); err == nil && j.wanted.Mode == template.Complete {
		err = p.removeOthers(ctx, j.id.GroupScope(), result)
	}
	return result, err
}

func inputOf(j *job) template.Input {
	return template.Input{
		Name: j.id.Name(), Location: j.wanted.Location, Mode: j.wanted.Mode, Subscription: j.id.Subscription, Group: j.id.Group,
		Parameters: j.wanted.Parameters, Now: j.started,
	}
}

// finish writes how a deployment ended, as soon as the store takes it, and tells.
func (d *Deployments) finish(ctx context.Context, j *job, result *template.Result, err error) {
	ops, _ := d.operations(j.uid)
	for {
		changes, werr := d.writeEnd(ctx, j.id, j.uid, result, err, ops)
		switch {
		case werr == nil:
			if len(changes) > 0 {
				j.tell(err, changes)
			}
			return
		case ctx.Err() != nil:
			// The next start finds it.
			d.h.Logger.Error("the end of a deployment could not be written", "deployment", j.id.String(), "error", werr)
			return
		}
		d.h.Logger.Warn("the end of a deployment could not be written; trying again", "deployment", j.id.String(), "error", werr)
		select {
		case <-ctx.Done():
		case <-time.After(heartbeat):
		}
	}
}

// writeEnd writes the end of a deployment, also of one that is nested.
func (d *Deployments) writeEnd(
	ctx context.Context, id resource.ID, uid resource.UID, result *template.Result, err error, ops []deploymentOperation,
) ([]activity.Change, error) {
	change := func(r *deployment) {
		now := d.h.Now().UTC()
		r.Operations = ops
		r.Made = madeOf(result)
		if len(result.Planned) > 0 {
			r.plan(result)
		} else if len(result.Parameters) > 0 {
			r.Parameters = result.Parameters
		}
		switch {
		case r.State == stateCanceled:
			r.Ended = now
		case canceled(err):
			r.end(stateCanceled, now)
			r.Error = &errorObject{Code: codeDeploymentCanceled, Message: "The deployment was canceled.", Target: id.String()}
		case err != nil:
			r.end(stateFailed, now)
			r.Error = deploymentError(id, result, err)
		default:
			r.end(stateSucceeded, now)
			r.Outputs = result.Outputs
		}
	}
	changes, werr := d.write(ctx, id, uid, change)
	if isCode(werr, resource.RequestTooLarge) {
		changes, werr = d.write(ctx, id, uid, func(r *deployment) {
			r.end(stateFailed, d.h.Now().UTC())
			r.Error = &errorObject{Code: codeDeploymentFailed, Message: "Everything was deployed; the outputs are too large to be stored.", Target: id.String()}
		})
	}
	return changes, werr
}

func madeOf(result *template.Result) []string {
	var out []string
	for _, r := range result.Resources {
		out = append(out, r.ID)
	}
	return out
}

// update changes the record of a deployment that still runs.
func (d *Deployments) update(ctx context.Context, id resource.ID, uid resource.UID, change func(*deployment)) error {
	_, err := d.write(ctx, id, uid, func(r *deployment) {
		if r.active() {
			change(r)
		}
	})
	return err
}

// write changes the record of a deployment, if it is still there. It takes no
// phases: the deployment itself was allowed.
func (d *Deployments) write(ctx context.Context, id resource.ID, uid resource.UID, change func(*deployment)) ([]activity.Change, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	var journal *activity.Journal
	err := d.h.Store.Commit(ctx, func(tx resource.Tx) error {
		journal = activity.NewJournal(tx)
		r, ok := tx.Get(id)
		if !ok || r.UID != uid {
			return nil // deleted, with its group for example
		}
		rec, err := deploymentOf(r)
		if err != nil {
			return err
		}
		change(rec)
		next, err := rec.put(r, d.h.Now().UTC())
		if err != nil {
			return err
		}
		journal.Put(next)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("write deployment %s: %w", id, err)
	}
	return journal.Changes(), nil
}

// endAbandoned ends the deployments that nobody runs any more.
func (d *Deployments) endAbandoned(ctx context.Context) error {
	now := d.h.Now()
	for _, r := range d.h.Store.List(typeDeployment, resource.ID{}) {
		rec, err := deploymentOf(r)
		if err != nil {
			return err
		}
		if !rec.active() || d.opts.Shared && now.Sub(rec.Alive) < silence {
			continue
		}
		if _, here := d.operations(r.UID); here {
			continue
		}
		changes, err := d.writeEnd(ctx, r.ID, r.UID, &template.Result{}, interrupted("it ended"), rec.Operations)
		if err != nil {
			return err
		}
		if d.h.Activity != nil {
			d.h.Activity.Service(ctx, changes, now.UTC())
		}
	}
	return nil
}

// beat says which deployments run here, and ends those whose process is silent.
func (d *Deployments) beat(ctx context.Context) {
	d.mu.Lock()
	live := make(map[resource.UID]resource.ID, len(d.live))
	for uid, p := range d.live {
		live[uid] = p.id
	}
	d.mu.Unlock()
	now := d.h.Now().UTC()
	for uid, id := range live {
		if err := d.update(ctx, id, uid, func(r *deployment) { r.Alive = now }); err != nil {
			d.h.Logger.Warn("a running deployment could not be marked as such", "error", err)
			return
		}
	}
	if err := d.endAbandoned(ctx); err != nil {
		d.h.Logger.Warn("abandoned deployments could not be ended", "error", err)
	}
}

// operations returns what a deployment that runs here has done so far.
func (d *Deployments) operations(uid resource.UID) ([]deploymentOperation, bool) {
	d.mu.Lock()
	p, ok := d.live[uid]
	d.mu.Unlock()
	if !ok {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]deploymentOperation(nil), p.ops...), true
}

// begin notes that an operation has begun; what it returns, how it ended.
func (p *progress) begin(verb string, r template.Resource, now func() time.Time) (end func(status int, err *errorObject)) {
	start := now().UTC()
	op := deploymentOperation{
		ID: strings.ToUpper(strings.ReplaceAll(uuid.NewString(), "-", "")[:16]), Verb: verb, State: stateRunning, Started: start,
		Resource: r.ID, Type: shownType(r),
	}
	p.mu.Lock()
	at := len(p.ops)
	p.ops = append(p.ops, op)
	p.mu.Unlock()
	return func(status int, err *errorObject) {
		p.mu.Lock()
		defer p.mu.Unlock()
		o := &p.ops[at]
		o.Took, o.Status, o.State, o.Error = now().Sub(start), status, stateSucceeded, err
		if err != nil {
			o.State = stateFailed
		}
	}
}
