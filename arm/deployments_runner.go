package arm

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/activity"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/template"
)

// interrupted is the end of a deployment that the server did not get to finish.
func interrupted(when string) error {
	return &template.Error{
		Message: "The server stopped before " + when + "; what it had made until then stays.",
		Cause:   resource.Errorf(resource.Unavailable, "The server stopped before %s; what it had made until then stays. Deploy again to make the rest.", when),
	}
}

// forgotten is the end of a deployment that nobody runs although the server has not
// stopped.
func forgotten() error {
	return &template.Error{
		Message: "How the deployment ended could not be stored; what it had made until then stays.",
		Cause:   resource.Errorf(resource.Unavailable, "How the deployment ended could not be stored; what it had made until then stays. Deploy again to make the rest."),
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
	err = d.update(ctx, j.id, j.uid, func(r *deployment) { r.State = stateRunning })
	if err != nil && !isCode(err, resource.OutcomeUnknown) {
		return result, err
	}
	p := d.newDeployer(j)
	if err := p.evaluate(ctx); err != nil {
		return result, err
	}
	defer func() { p.done() }()
	if j.wanted, err = template.ReadRequest(j.body); err != nil {
		return result, err
	}
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
		changes, outcome, werr := d.writeEnd(ctx, j.id, j.uid, result, err, ops)
		switch {
		case werr == nil:
			if len(changes) > 0 {
				j.tell(outcome, changes)
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

// writeEnd writes the end of a deployment, also of one that is nested. It returns
// what has changed, and how the deployment has ended with it: what is too large to be
// stored has failed.
func (d *Deployments) writeEnd(
	ctx context.Context, id resource.ID, uid resource.UID, result *template.Result, err error, ops []deploymentOperation,
) (changes []activity.Change, outcome, werr error) {
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
	changes, werr = d.write(ctx, id, uid, change)
	if isCode(werr, resource.RequestTooLarge) {
		if err == nil {
			const why = "Everything was deployed; the outputs and operations are too large to be stored."
			err = &template.Error{Message: why, Cause: resource.Errorf(codeDeploymentFailed, why)}
		}
		changes, werr = d.write(ctx, id, uid, func(r *deployment) {
			change(r)
			r.shorten()
		})
	}
	return changes, err, werr
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
func (d *Deployments) endAbandoned(ctx context.Context, why error) error {
	now := d.h.Now()
	for _, r := range d.h.Store.List(typeDeployment, resource.ID{}) {
		if !maybeActive(r) {
			continue
		}
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
		changes, _, err := d.writeEnd(ctx, r.ID, r.UID, &template.Result{}, why, rec.Operations)
		if err != nil {
			return err
		}
		if d.h.Activity != nil {
			d.h.Activity.Service(ctx, changes, now.UTC())
		}
	}
	return nil
}

// beat says which deployments run here, where others could take them for abandoned,
// and ends those that nobody runs.
func (d *Deployments) beat(ctx context.Context) {
	why := forgotten()
	if d.opts.Shared {
		if why = interrupted("it ended"); !d.sayAlive(ctx) {
			return
		}
	}
	if err := d.endAbandoned(ctx, why); err != nil {
		d.h.Logger.Warn("abandoned deployments could not be ended", "error", err)
	}
}

func (d *Deployments) sayAlive(ctx context.Context) bool {
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
			return false
		}
	}
	return true
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
