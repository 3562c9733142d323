package arm

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/template"
)

// The states of a deployment.
const (
	stateAccepted  = "Accepted"
	stateRunning   = "Running"
	stateSucceeded = "Succeeded"
	stateFailed    = "Failed"
	stateCanceled  = "Canceled"
)

// secretTemplate is the name under which a deployment keeps its template: what
// people write into templates is often secret, so it is sealed.
const secretTemplate = "template"

// deployment is what is stored of a deployment. Values of secure parameters are
// not among it.
type deployment struct {
	State string `json:"provisioningState"`
	// Operation is the id by which a client follows it.
	Operation     string    `json:"operation"`
	CorrelationID string    `json:"correlationId"`
	Started       time.Time `json:"started"`
	Ended         time.Time `json:"ended,omitzero"`
	// Alive is when the process that runs it last said so: see [Deployments].
	Alive      time.Time                 `json:"alive,omitzero"`
	Mode       string                    `json:"mode"`
	Hash       string                    `json:"templateHash"`
	Parameters map[string]template.Value `json:"parameters,omitempty"`
	Outputs    map[string]template.Value `json:"outputs,omitempty"`
	// Planned and Depends are the template's resources, without their bodies.
	Planned    []plannedResource            `json:"planned,omitempty"`
	Depends    map[string][]plannedResource `json:"depends,omitempty"`
	Made       []string                     `json:"made,omitempty"`
	Operations []deploymentOperation        `json:"operations,omitempty"`
	Error      *errorObject                 `json:"error,omitempty"`
}

type plannedResource struct {
	ID   string `json:"id"`
	Type string `json:"resourceType"`
	Name string `json:"resourceName"`
}

func (d *deployment) active() bool { return d.State == stateAccepted || d.State == stateRunning }

func (d *deployment) end(state string, now time.Time) { d.State, d.Ended = state, now }

// shorten leaves out what may be large.
func (d *deployment) shorten() {
	d.Parameters, d.Outputs, d.Planned, d.Depends, d.Made, d.Operations = nil, nil, nil, nil, nil, nil
	if d.Error != nil {
		d.Error = d.Error.shortened()
	}
}

// plan notes what the template says shall exist.
func (d *deployment) plan(r *template.Result) {
	d.Parameters, d.Planned, d.Depends = r.Parameters, plannedOf(r.Planned), map[string][]plannedResource{}
	for id, needs := range r.Depends {
		d.Depends[id] = plannedOf(needs)
	}
}

func plannedOf(all []template.Resource) []plannedResource {
	out := make([]plannedResource, len(all))
	for i, r := range all {
		out[i] = plannedResource{r.ID, shownType(r), nameIn(r.ID)}
	}
	return out
}

// nameIn returns the names of an id, joined as templates join them.
func nameIn(id string) string {
	if parsed, err := resource.ParseID(id); err == nil && len(parsed.Names) > 0 {
		return strings.Join(parsed.Names, "/")
	}
	return id[strings.LastIndexByte(id, '/')+1:]
}

// maybeActive reports whether a deployment could be under way, without decoding all
// of its record.
func maybeActive(r *resource.Resource) bool {
	return bytes.Contains(r.Properties, []byte(`"`+stateAccepted+`"`)) || bytes.Contains(r.Properties, []byte(`"`+stateRunning+`"`))
}

func deploymentOf(r *resource.Resource) (*deployment, error) {
	d, err := resource.Properties[deployment](r)
	if err != nil {
		return nil, fmt.Errorf("decode deployment %s: %w", r.ID, err)
	}
	return d, nil
}

// put returns the stored form of a new state.
func (d *deployment) put(old *resource.Resource, now time.Time) (*resource.Resource, error) {
	next := old.Clone()
	next.ModifiedAt, next.Confidential = now, true
	return next, resource.Encode(next, d)
}

// newDeployment returns the record of a deployment that begins.
func newDeployment(j *job, plan *template.Result, old *resource.Resource) (*resource.Resource, error) {
	id := j.id
	if old != nil {
		id = old.ID // keeps the casing of creation
	}
	d := &deployment{
		State: stateAccepted, Operation: uuid.NewString(), CorrelationID: j.as.correlation, Started: j.started, Alive: j.started,
		Mode: j.wanted.Mode, Hash: j.hash,
	}
	d.plan(plan)
	r := &resource.Resource{
		// People put secrets into plain parameters, and outputs hold keys.
		Confidential: true,
		ID:           id, UID: j.uid, Type: typeDeployment, Location: resource.NormalLocation(j.wanted.Location), Tags: j.wanted.Tags,
		CreatedAt: j.started, CreatedBy: j.as.caller.ObjectID, ModifiedAt: j.started, ModifiedBy: j.as.caller.ObjectID,
	}
	r.Secret(secretTemplate, string(j.source))
	return r, resource.Encode(r, d)
}

const (
	// mostDeployments is ARM's bound of the history of one group or subscription.
	mostDeployments = 800
	// mostHistory bounds the history of all of a subscription, in bytes.
	mostHistory = 32 << 20
)

// pruneDeployments drops the oldest of a full history, as Azure does. id stays, and
// what is under way.
func pruneDeployments(tx resource.Tx, id resource.ID) {
	all := tx.List(typeDeployment, resource.SubscriptionID(id.Subscription))
	scope, here, size := id.Scope(), 0, 0
	for _, r := range all {
		if size += sizeOf(r); r.ID.Scope().Equal(scope) {
			here++
		}
	}
	if here <= mostDeployments && size <= mostHistory {
		return
	}
	oldest := slices.SortedStableFunc(slices.Values(all), func(a, b *resource.Resource) int { return a.ModifiedAt.Compare(b.ModifiedAt) })
	for _, r := range oldest {
		inScope := r.ID.Scope().Equal(scope)
		if size <= mostHistory && (here <= mostDeployments || !inScope) || r.ID.Equal(id) {
			continue
		}
		if d, err := deploymentOf(r); err != nil || d.active() {
			continue
		}
		tx.Delete(r.ID)
		if size -= sizeOf(r); inScope {
			here--
		}
	}
}

// sizeOf is about how many bytes of memory a record takes.
func sizeOf(r *resource.Resource) int {
	const fixed = 1 << 10 // its members, the id, and the indexes
	n := fixed + len(r.Properties) + len(r.Identity)
	for _, name := range r.ID.Names {
		n += len(name)
	}
	for name, value := range r.Extra {
		n += len(name) + len(value)
	}
	for name, value := range r.Tags {
		n += len(name) + len(value)
	}
	for name, value := range r.Secrets {
		n += len(name) + len(value)
	}
	return n
}

// forgetDeployments drops the history of a group that goes.
func forgetDeployments(tx resource.Tx, group resource.ID) {
	for _, r := range tx.List(typeDeployment, group) {
		tx.Delete(r.ID)
	}
}

// The shapes of answers.
type (
	reference struct {
		ID string `json:"id"`
	}

	shownDeployment struct {
		ID         string               `json:"id"`
		Name       string               `json:"name"`
		Type       string               `json:"type"`
		Location   string               `json:"location,omitempty"`
		Tags       map[string]string    `json:"tags,omitempty"`
		Properties deploymentProperties `json:"properties"`
	}

	deploymentProperties struct {
		TemplateHash    string                    `json:"templateHash"`
		Parameters      map[string]template.Value `json:"parameters,omitempty"`
		Mode            string                    `json:"mode"`
		State           string                    `json:"provisioningState"`
		Timestamp       resource.Time             `json:"timestamp"`
		Duration        string                    `json:"duration"`
		CorrelationID   string                    `json:"correlationId"`
		Providers       []shownProvider           `json:"providers"`
		Dependencies    []shownDependency         `json:"dependencies"`
		Outputs         map[string]template.Value `json:"outputs,omitempty"`
		OutputResources []reference               `json:"outputResources,omitempty"`
		Validated       []reference               `json:"validatedResources,omitempty"`
		Error           *errorObject              `json:"error,omitempty"`
	}

	shownProvider struct {
		Namespace     string              `json:"namespace"`
		ResourceTypes []shownResourceType `json:"resourceTypes"`
	}

	shownResourceType struct {
		Type      string    `json:"resourceType"`
		Locations []*string `json:"locations"`
	}

	shownDependency struct {
		DependsOn []plannedResource `json:"dependsOn"`
		plannedResource
	}
)

func presentDeployment(r *resource.Resource) (shownDeployment, error) {
	d, err := deploymentOf(r)
	if err != nil {
		return shownDeployment{}, err
	}
	return d.present(r), nil
}

func (d *deployment) present(r *resource.Resource) shownDeployment {
	p := deploymentProperties{
		TemplateHash: d.Hash, Parameters: d.Parameters, Mode: d.Mode, State: d.State, CorrelationID: d.CorrelationID,
		Timestamp: resource.Time(d.Started), Duration: "PT0S", Providers: d.providers(), Dependencies: []shownDependency{},
		Error: d.Error,
	}
	if !d.active() {
		p.Timestamp, p.Duration = resource.Time(d.Ended), isoDuration(d.Ended.Sub(d.Started))
	}
	if d.State == stateSucceeded {
		p.Outputs = d.Outputs
	}
	for _, id := range d.Made {
		p.OutputResources = append(p.OutputResources, reference{ID: id})
	}
	for _, r := range d.Planned {
		if needs := d.Depends[r.ID]; len(needs) > 0 {
			p.Dependencies = append(p.Dependencies, shownDependency{needs, r})
		}
	}
	return shownDeployment{ID: r.ID.String(), Name: r.ID.Name(), Type: typeDeployment, Location: r.Location, Tags: r.Tags, Properties: p}
}

// providers groups the types of the template by their provider.
func (d *deployment) providers() []shownProvider {
	types := map[string][]string{}
	for _, r := range d.Planned {
		ns, typ, _ := strings.Cut(r.Type, "/")
		if !slices.Contains(types[ns], typ) {
			types[ns] = append(types[ns], typ)
		}
	}
	out := []shownProvider{}
	for ns, all := range types {
		p := shownProvider{Namespace: ns}
		slices.Sort(all)
		for _, typ := range all {
			p.ResourceTypes = append(p.ResourceTypes, shownResourceType{Type: typ, Locations: []*string{nil}})
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b shownProvider) int { return cmp.Compare(a.Namespace, b.Namespace) })
	return out
}

// isoDuration writes a duration as ISO 8601, with up to 7 digits as Azure does.
func isoDuration(d time.Duration) string {
	d = max(d, 0).Truncate(100 * time.Nanosecond)
	out := "PT"
	if h := d / time.Hour; h > 0 {
		out += fmt.Sprintf("%dH", h)
	}
	if m := d % time.Hour / time.Minute; m > 0 {
		out += fmt.Sprintf("%dM", m)
	}
	s := strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.7f", (d%time.Minute).Seconds()), "0"), ".")
	if s != "0" || out == "PT" {
		out += s + "S"
	}
	return out
}

// deploymentOperation is one resource that a deployment made, or tried to.
type deploymentOperation struct {
	ID       string        `json:"operationId"`
	Verb     string        `json:"provisioningOperation"`
	State    string        `json:"provisioningState"`
	Started  time.Time     `json:"started"`
	Took     time.Duration `json:"took"`
	Status   int           `json:"status"`
	Resource string        `json:"resource"`
	Type     string        `json:"type"`
	Error    *errorObject  `json:"error,omitempty"`
}

func (o deploymentOperation) present(deployment resource.ID) any {
	properties := map[string]any{
		"provisioningOperation": o.Verb, "provisioningState": o.State, "timestamp": resource.Time(o.Started.Add(o.Took)),
		"duration": isoDuration(o.Took), "trackingId": o.ID, "statusCode": statusName(o.Status),
		"targetResource": plannedResource{o.Resource, o.Type, nameIn(o.Resource)},
	}
	if o.Error != nil {
		properties["statusMessage"] = map[string]any{"status": "Failed", "error": o.Error}
	}
	return map[string]any{
		"id": deployment.String() + "/operations/" + o.ID, "operationId": o.ID, "properties": properties,
	}
}
