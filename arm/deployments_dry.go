package arm

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/template"
)

// draftStore is a store whose commits go into a draft, so that a deployment can
// be tried with all rules and leave nothing behind.
type draftStore struct {
	*draft
	below Store
}

func newDraftStore(below Store) draftStore { return draftStore{newDraft(below), below} }

// Commit implements [Store].
func (s draftStore) Commit(_ context.Context, fn func(resource.Tx) error) error {
	inner := newDraft(s)
	if err := fn(inner); err != nil {
		return err
	}
	maps.Copy(s.writes, inner.writes)
	return nil
}

// Types implements [Store].
func (s draftStore) Types() []string {
	types := slices.Clone(s.below.Types())
	for _, r := range s.writes {
		if r != nil && !slices.Contains(types, strings.ToLower(r.Type)) {
			types = append(types, strings.ToLower(r.Type))
		}
	}
	return types
}

// dry returns a handler that does everything but have an effect: it writes into
// a draft, tells nobody, and asks nobody outside.
func (h *Handler) dry(store Store) *Handler {
	d := &Handler{
		Store: store, Rules: h.Rules, Tokens: h.Tokens, Authorizer: h.Authorizer, Principal: h.Principal,
		ExternalPrincipals: h.ExternalPrincipals, ForeignBytes: h.ForeignBytes, Tenant: h.Tenant,
		Base: h.Base, DefaultBase: h.DefaultBase, PublishDomain: h.PublishDomain, ClientIP: h.ClientIP, Now: h.Now,
		Logger: slog.New(slog.DiscardHandler), Deployments: h.Deployments, unasked: true, evaluations: h.evaluations,
	}
	d.bindRoutes()
	return d
}

// plan tries a deployment and returns what it would come to.
func (h *Handler) plan(rq *request, j *job) (*template.Result, error) {
	_, result, err := h.try(rq, j)
	if err == nil && j.wanted.Mode == template.Complete {
		_, err = h.othersReadable(behalfOf(rq), h.Store, j.id.GroupScope(), result)
	}
	return result, err
}

// try tries a deployment.
func (h *Handler) try(rq *request, j *job) (*planner, *template.Result, error) {
	p := h.newPlanner(rq)
	result, err := j.wanted.Template.Deploy(rq.http.Context(), p, inputOf(j))
	if cause := rq.http.Context().Err(); err != nil && cause != nil {
		return nil, nil, cause // the template is not to blame
	}
	if err != nil {
		return nil, nil, invalidTemplate(j.id, result, err)
	}
	return p, result, nil
}

// planner is the host of a template that is only tried. What only the deployment
// itself would bring, it leaves unknown.
type planner struct {
	envoy       // over the draft
	real  envoy // as things are
	store draftStore
	puts  []planned
	read  int // bytes of the resources to compare with
}

// planned is a resource that was put into the draft.
type planned struct {
	template.Resource
	after map[string]any // nil when the body depends on what is not known yet
}

func (h *Handler) newPlanner(rq *request) *planner {
	as, store := behalfOf(rq), newDraftStore(h.Store)
	quiet := h.dry(h.Store) // only asked to read
	return &planner{envoy: envoy{h.dry(store), as}, real: envoy{quiet, as}, store: store}
}

// Put implements [template.Host], as do the others.
func (p *planner) Put(ctx context.Context, r template.Resource) (map[string]any, error) {
	if !template.Known(r.Body) {
		p.puts = append(p.puts, planned{Resource: r})
		return nil, nil
	}
	after, _, err := p.write(ctx, r)
	if err != nil {
		return nil, err
	}
	p.puts = append(p.puts, planned{r, after})
	return after, nil
}

func (p *planner) Get(ctx context.Context, id, version string) (map[string]any, error) {
	v, err := p.envoy.Get(ctx, id, version)
	if isCode(err, resource.NotFound) || isCode(err, resource.ResourceGroupNotFound) || isCode(err, codeDeploymentNotFound) {
		return nil, nil // it may come about along with something else
	}
	return v, err
}

// Act does nothing: even to read keys leaves a trace.
func (*planner) Act(context.Context, string, string, string, any) (any, error) { return nil, nil }

func (p *planner) Nest(_ context.Context, n template.Nested) (func(*template.Result, error) error, error) {
	id, err := resource.ParseID(n.ID)
	if err != nil {
		return nil, resource.Invalid("'%s' is not the id of a deployment.", n.ID)
	}
	if err := p.h.mayNest(p.as, p.store, id); err != nil {
		return nil, err
	}
	return func(_ *template.Result, err error) error { return err }, nil
}

func (*planner) Canceled() bool { return false }
