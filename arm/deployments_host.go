package arm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/template"
)

// envoy makes the requests of a deployment in the name of who started it.
type envoy struct {
	h  *Handler
	as behalf
}

func (e envoy) ask(ctx context.Context, method, path, version string, body any) (map[string]any, int, error) {
	if version == "" {
		id, err := resource.ParseID(path)
		if err != nil {
			p, perr := resource.ParsePath(path)
			if perr != nil {
				return nil, 0, resource.Invalid("'%s' is not the id of a resource.", path)
			}
			id = p.ID
		}
		version = e.h.versionOf(id.Type())
	}
	var raw []byte
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return nil, 0, resource.Invalid("The body for '%s' cannot be written as JSON.", path)
		}
	}
	r, err := e.h.do(ctx, e.as, method, path, version, raw)
	if err != nil {
		return nil, r.status, err
	}
	if len(r.body) == 0 {
		return nil, r.status, nil
	}
	v, err := template.Decode(r.body)
	if err != nil {
		return nil, r.status, resource.Errorf(resource.Internal, "The answer of '%s' is not JSON.", path)
	}
	m, _ := v.(map[string]any)
	return m, r.status, nil
}

// write puts a resource. As in Azure, a deployment registers the provider with
// the subscription where that was forgotten, if the caller may.
func (e envoy) write(ctx context.Context, r template.Resource) (map[string]any, int, error) {
	made, status, err := e.ask(ctx, http.MethodPut, r.ID, r.Version, r.Body)
	if isCode(err, resource.OutcomeUnknown) { // whichever it was, this makes it so
		made, status, err = e.ask(ctx, http.MethodPut, r.ID, r.Version, r.Body)
	}
	if !isCode(err, resource.MissingSubscriptionRegistration) {
		return made, status, err
	}
	id, perr := resource.ParseID(r.ID)
	if perr != nil {
		return made, status, err
	}
	register := resource.SubscriptionID(id.Subscription).String() + "/providers/" + id.Namespace + "/register"
	if _, _, rerr := e.ask(ctx, http.MethodPost, register, "2021-04-01", nil); rerr != nil {
		return made, status, err
	}
	return e.ask(ctx, http.MethodPut, r.ID, r.Version, r.Body)
}

func (e envoy) Get(ctx context.Context, id, version string) (map[string]any, error) {
	v, _, err := e.ask(ctx, http.MethodGet, id, version, nil)
	return v, err
}

func (e envoy) Act(ctx context.Context, id, action, version string, body any) (any, error) {
	v, _, err := e.ask(ctx, http.MethodPost, id+"/"+action, version, body)
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Around describes where a deployment goes. Who may deploy there may know this
// much of it.
func (e envoy) Around(_ context.Context, subscription, group string) (map[string]map[string]any, error) {
	sub, ok := e.h.Store.Get(resource.SubscriptionID(subscription))
	if !ok {
		return nil, resource.Errorf(resource.SubscriptionNotFound, "The subscription '%s' could not be found.", subscription)
	}
	shown, err := e.h.presentSubscription(sub)
	if err != nil {
		return nil, err
	}
	around := map[string]map[string]any{
		"tenant":      {"id": "/tenants/" + e.h.Tenant, "tenantId": e.h.Tenant, "displayName": "Intertie", "tenantCategory": "Home"},
		"deployer":    {"objectId": e.as.caller.ObjectID, "tenantId": e.h.Tenant, "userPrincipalName": e.as.caller.AppID},
		"environment": environment(e.as.base),
	}
	if around["subscription"], err = plainObject(shown); err != nil || group == "" {
		return around, err
	}
	id := resource.GroupID(subscription, group)
	r, ok := e.h.Store.Get(id)
	if !ok {
		return nil, groupNotFound(id)
	}
	if shown, err = presentGroup(r); err == nil {
		around["resourcegroup"], err = plainObject(shown)
	}
	return around, err
}

// environment is what the function of this name tells of the cloud.
func environment(base string) map[string]any {
	return map[string]any{
		"name": "Intertie", "resourceManager": base + "/", "portal": base + "/", "graph": base + "/graph/", "graphAudience": base + "/graph/",
		"authentication": map[string]any{
			"loginEndpoint": base + "/adfs", "audiences": []any{"https://management.core.windows.net/", "https://management.azure.com/"},
			"tenant": "common", "identityProvider": "AAD",
		},
		"suffixes": map[string]any{
			"storage": "core.windows.net", "keyvaultDns": ".vault.azure.net", "sqlServerHostname": ".database.windows.net",
			"acrLoginServer": ".azurecr.io",
		},
	}
}

func plainObject(v any) (map[string]any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	plain, err := template.Decode(data)
	m, _ := plain.(map[string]any)
	return m, err
}

// deployer is the host of a template that is deployed.
type deployer struct {
	envoy
	d    *Deployments
	root *job
	// levels are the deployments under way: the root, then the nested ones.
	levels []*progress
	done   func() // gives back the place among the evaluations
}

func (d *Deployments) newDeployer(j *job) *deployer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &deployer{envoy: envoy{d.h, j.as}, d: d, root: j, levels: []*progress{d.live[j.uid]}, done: func() {}}
}

// evaluate waits until the template may be evaluated.
func (p *deployer) evaluate(ctx context.Context) (err error) {
	p.done, err = p.h.evaluations.wait(ctx, p.root.id.Subscription, 1)
	if err != nil {
		p.done = func() {}
	}
	return err
}

// outside lets other templates be evaluated until back is called, while this one
// waits for what is outside of it.
func (p *deployer) outside(ctx context.Context) (back func()) {
	p.done()
	return func() { _ = p.evaluate(ctx) } // that ctx has ended shows itself at the next step
}

// Get implements [template.Host].
func (p *deployer) Get(ctx context.Context, id, version string) (map[string]any, error) {
	defer p.outside(ctx)()
	return p.envoy.Get(ctx, id, version)
}

// Act implements [template.Host].
func (p *deployer) Act(ctx context.Context, id, action, version string, body any) (any, error) {
	defer p.outside(ctx)()
	return p.envoy.Act(ctx, id, action, version, body)
}

func (p *deployer) level() *progress { return p.levels[len(p.levels)-1] }

// Canceled implements [template.Host]: the record says so, whichever process
// took the request.
func (p *deployer) Canceled() bool {
	r, ok := p.h.Store.Get(p.root.id)
	if !ok || r.UID != p.root.uid {
		return true
	}
	rec, err := deploymentOf(r)
	return err == nil && rec.State == stateCanceled
}

// pollEvery is how often a deployment looks at a resource that it waits for.
const pollEvery = time.Second

// Put implements [template.Host]. It returns when the resource is finished, which
// may be when somebody has given consent.
func (p *deployer) Put(ctx context.Context, r template.Resource) (map[string]any, error) {
	defer p.outside(ctx)()
	end := p.level().begin("Create", r, p.h.Now)
	made, status, err := p.write(ctx, r)
	for err == nil && !finished(made) {
		select {
		case <-ctx.Done():
			err = interrupted("the resource was finished")
		case <-time.After(pollEvery):
			if p.Canceled() {
				err = template.ErrCanceled
				break
			}
			made, _, err = p.ask(ctx, http.MethodGet, r.ID, r.Version, nil)
		}
	}
	if err == nil && stateOf(made) != stateSucceeded {
		status, err = http.StatusConflict, resource.Errorf(codeResourceNotFinished,
			"The resource write operation failed to complete successfully, because it reached terminal provisioning state '%s'.", stateOf(made))
	}
	if err != nil {
		end(status, operationError(err))
		return nil, err
	}
	end(status, nil)
	return made, nil
}

// stateOf returns the state of a resource as it is shown; most have none and are
// done.
func stateOf(shown map[string]any) string {
	properties, _ := shown["properties"].(map[string]any)
	if s, ok := properties["provisioningState"].(string); ok && s != "" {
		return s
	}
	return stateSucceeded
}

func finished(shown map[string]any) bool {
	_, final := finalStates[stateOf(shown)]
	return final
}

// operationError is an error as the operations of a deployment show it.
func operationError(err error) *errorObject {
	if e, ok := errors.AsType[*resource.Error](err); ok {
		o := errorObjectOf(e)
		return &o
	}
	return &errorObject{Code: codeDeploymentFailed, Message: err.Error()}
}

// Nest implements [template.Host]: a nested deployment has a record of its own.
func (p *deployer) Nest(ctx context.Context, n template.Nested) (func(*template.Result, error) error, error) {
	defer p.outside(ctx)()
	end := p.level().begin("Create", n.Resource, p.h.Now)
	inner, uid, err := p.beginNested(ctx, n)
	if err != nil {
		end(http.StatusConflict, operationError(err))
		return nil, err
	}
	p.levels = append(p.levels, inner)
	return func(result *template.Result, outcome error) error {
		defer p.outside(ctx)()
		p.levels = p.levels[:len(p.levels)-1]
		ops, _ := p.d.operations(uid)
		_, outcome, werr := p.d.writeEnd(ctx, inner.id, uid, result, outcome, ops)
		p.d.mu.Lock()
		delete(p.d.live, uid)
		p.d.mu.Unlock()
		if outcome == nil {
			outcome = werr
		}
		if outcome != nil {
			end(http.StatusConflict, deploymentError(inner.id, result, outcome))
			return outcome
		}
		end(http.StatusOK, nil)
		return nil
	}, nil
}

func (p *deployer) beginNested(ctx context.Context, n template.Nested) (*progress, resource.UID, error) {
	id, err := resource.ParseID(n.ID)
	if err != nil {
		return nil, resource.UID{}, resource.Invalid("'%s' is not the id of a deployment.", n.ID)
	}
	j := &job{id: id, uid: resource.NewUID(), wanted: &template.Request{Template: n.Template, Mode: n.Mode}, as: p.as, started: p.h.Now().UTC()}
	inner := &progress{id: id}
	p.d.mu.Lock()
	p.d.live[j.uid] = inner
	p.d.mu.Unlock()
	if err := p.h.storeNested(ctx, j.read(), p.root); err != nil {
		p.d.mu.Lock()
		delete(p.d.live, j.uid)
		p.d.mu.Unlock()
		return nil, resource.UID{}, err
	}
	return inner, j.uid, nil
}

// mayNest makes sure that a nested deployment may be where it wants to be.
func (h *Handler) mayNest(as behalf, tx resource.Reader, id resource.ID) error {
	if action := typeDeployment + "/write"; !h.Authorizer.Allowed(as.caller.ObjectID, action, id.String(), as.caller.Groups...) {
		return forbidden(&request{caller: as.caller}, action, id)
	}
	if err := h.findDeploymentScope(tx, id); err != nil {
		return err
	}
	if !deploymentName.MatchString(id.Name()) {
		return resource.Errorf(codeInvalidName, "The deployment name '%s' is invalid: it must consist of 1 to 64 letters, digits, '-', '_', '.', '(' and ')'.", id.Name())
	}
	return nil
}

func (h *Handler) storeNested(ctx context.Context, j, root *job) error {
	err := h.Store.Commit(ctx, func(tx resource.Tx) error {
		if err := h.mayNest(j.as, tx, j.id); err != nil {
			return err
		}
		old, exists := tx.Get(j.id)
		if exists {
			if old.ID.Equal(root.id) {
				return resource.Invalid("The nested deployment '%s' has the name of the one around it.", j.id.Name())
			}
			if err := refuseActive(old); err != nil {
				return err
			}
		}
		r, err := newDeployment(j, &template.Result{}, old)
		if err != nil {
			return err
		}
		d, err := deploymentOf(r)
		if err != nil {
			return err
		}
		d.State = stateRunning
		if err := resource.Encode(r, d); err != nil {
			return err
		}
		tx.Put(r)
		pruneDeployments(tx, j.id)
		return nil
	})
	if err != nil {
		return callerError(ctx, err)
	}
	return nil
}

// removeOthers is what the mode Complete does: of the group's resources it
// deletes those that the template does not name, dependents first. Only tracked
// ones go; others go with the one they belong to.
func (p *deployer) removeOthers(ctx context.Context, group resource.ID, result *template.Result) error {
	others, err := p.h.othersReadable(p.as, p.h.Store, group, result)
	if err != nil {
		return &template.Error{Message: err.Error(), Cause: err}
	}
	for _, r := range others {
		if p.Canceled() {
			return &template.Error{Message: "The deployment was canceled.", Cause: template.ErrCanceled}
		}
		if _, ok := p.h.Store.Get(r.ID); !ok {
			continue // gone along with another
		}
		end := p.level().begin("Delete", template.Resource{ID: r.ID.String(), Type: r.Type}, p.h.Now)
		_, status, err := p.ask(ctx, http.MethodDelete, r.ID.String(), "", nil)
		if err != nil {
			end(status, operationError(err))
			return &template.Error{
				Resource: r.ID.String(), Cause: err,
				Message: "The resource '" + r.ID.String() + "', which the template does not name, could not be deleted: " + err.Error(),
			}
		}
		end(status, nil)
	}
	return nil
}

// othersReadable returns others. When the caller may not read one of them nothing
// may be deleted, and the error must not name it.
func (h *Handler) othersReadable(as behalf, tx resource.Reader, group resource.ID, result *template.Result) ([]*resource.Resource, error) {
	all := h.others(tx, group, result)
	for _, r := range all {
		if !h.mayReadOther(as, r) {
			return nil, resource.Errorf(resource.AuthorizationFailed,
				"The resource group '%s' holds resources that the template does not name and that you may not read. The mode Complete would delete them; deploy in the mode Incremental, or with a principal that may read and delete all of the group.", group.Group)
		}
	}
	return all, nil
}

func (h *Handler) mayReadOther(as behalf, r *resource.Resource) bool {
	return h.Authorizer.Allowed(as.caller.ObjectID, r.Type+"/read", r.ID.String(), as.caller.Groups...)
}

// others returns the tracked resources of a group that a template does not name,
// in the order in which they can be deleted.
func (h *Handler) others(tx resource.Reader, group resource.ID, result *template.Result) []*resource.Resource {
	named := map[string]bool{}
	for _, r := range result.Resources {
		named[strings.ToLower(r.ID)] = true
	}
	for _, id := range result.Existing {
		named[strings.ToLower(id)] = true
	}
	var out []*resource.Resource
	add := func(all []*resource.Resource) {
		for _, r := range all {
			if !named[r.ID.Key()] {
				out = append(out, r)
			}
		}
	}
	for _, typ := range h.deletionOrder {
		if h.kinds[strings.ToLower(typ)].Tracked {
			add(tx.List(typ, group))
		}
	}
	for _, typ := range h.Store.Types() {
		if _, foreign := foreignKind(typ); foreign {
			for _, r := range tx.List(typ, group) {
				if r.Location != "" && r.ID.Scope().Equal(group) {
					add([]*resource.Resource{r})
				}
			}
		}
	}
	return out
}

func shownType(r template.Resource) string {
	if id, err := resource.ParseID(r.ID); err == nil && id.Namespace != "" {
		return id.Type()
	}
	return r.Type
}

// canceled reports whether a deployment ended because somebody wanted it to.
func canceled(err error) bool { return errors.Is(err, template.ErrCanceled) }

func isCode(err error, code resource.Code) bool {
	e, ok := errors.AsType[*resource.Error](err)
	return ok && e.Code == code
}
