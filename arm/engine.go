package arm

import (
	"net/http"
	"strings"

	"github.com/intertie/intertie/resource"
)

// serveKind serves every operation of every kind.
func (h *Handler) serveKind(rq *request) error {
	p := rq.path
	if !p.Beyond && p.ID.Namespace != "" && (p.Tail == "" || rq.http.Method == http.MethodPost) {
		a, err := h.addressOf(p.ID, rq.version)
		switch {
		case err != nil:
			return err
		case strings.EqualFold(a.kind.Type, typeExtensionTopic):
			return h.getExtensionTopic(rq, a)
		case p.Tail != "":
			return h.act(rq, a)
		}
		return h.serveResource(rq, a)
	}
	typ := p.Namespace + "/" + p.Tail
	if !p.Beyond && len(p.ID.Types) > 0 {
		typ = p.ID.Type() + "/" + p.Tail
	}
	if serve, ok := h.subscriptionList(typ); ok {
		if err := h.only(rq, http.MethodGet); err != nil {
			return err
		}
		return serve(rq)
	}
	kind, err := h.kindOf(typ, rq.version)
	if err != nil {
		return err
	}
	if rq.http.Method == http.MethodPost && kind.Place == resource.Anywhere {
		return resource.Errorf(resource.InvalidResourceType, "There is no action '%s' at '%s'.", p.Tail, p.ID)
	}
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	return h.list(rq, kind)
}

func (h *Handler) serveResource(rq *request, a address) error {
	switch rq.http.Method {
	case http.MethodGet, http.MethodHead:
		return h.get(rq, a)
	case http.MethodPut:
		return h.write(rq, a, false)
	case http.MethodPatch:
		return h.write(rq, a, true)
	case http.MethodDelete:
		return h.remove(rq, a)
	default:
		return h.methodNotAllowed(rq, "GET, HEAD, PUT, PATCH, DELETE")
	}
}

// look returns the stored resource of an address.
func (h *Handler) look(tx resource.Tx, a address) (*resource.Resource, *resource.Kind, error) {
	if err := h.findAround(tx, a); err != nil {
		return nil, nil, err
	}
	id, kind, ok := h.locate(tx, a)
	if !ok {
		return nil, nil, notFound(a.id)
	}
	r, ok := tx.Get(id)
	if !ok {
		return nil, nil, notFound(a.id)
	}
	return r, kind, nil
}

func (h *Handler) get(rq *request, a address) error {
	if err := h.mayRead(rq, a.kind, a.id); err != nil {
		return err
	}
	tx := readOnly{h.Store}
	r, kind, err := h.look(tx, a)
	if err != nil {
		return err
	}
	switch hidden, err := h.hidden(rq, kind, r); {
	case err != nil:
		return err
	case hidden:
		return notFound(a.id)
	}
	if rq.http.Method == http.MethodHead {
		rq.out.WriteHeader(http.StatusNoContent)
		return nil
	}
	return h.respond(rq, kind, r, h.shown(tx, a, r), http.StatusOK)
}

// update is a new version of a resource, the one before, and the kind that it
// is stored as.
type update struct {
	next, old *resource.Resource
	kind      *resource.Kind
}

// write serves PUT and PATCH.
func (h *Handler) write(rq *request, a address, patch bool) error {
	if err := h.authorize(rq, a.action("write"), a.authority()); err != nil {
		return err
	}
	rq.concerns(a.id, a.id)
	raw, err := rq.body()
	if err != nil {
		return err
	}
	body, err := decodeBody(raw, patch && a.kind.FlatPatch)
	if err != nil {
		return err
	}
	var proof any
	if a.kind.Consult != nil || a.extension() {
		// A dry run finds everything that is wrong before the outside world is
		// bothered; the real run then repeats it inside the transaction.
		v, err := h.build(rq, newDraft(h.Store), a, body, patch, nil)
		if err != nil {
			return err
		}
		if v.kind.Consult != nil && !h.unasked {
			if proof, err = v.kind.Consult(rq.http.Context(), v.next, v.old); err != nil {
				return err
			}
		}
		if p, ok := proof.(resource.Proof); ok {
			defer p.Forget()
		}
	}
	var written update
	var shown resource.ID
	err = h.commit(rq, func(tx resource.Tx) error {
		var err error
		if written, err = h.build(rq, tx, a, body, patch, proof); err != nil {
			return err
		}
		tx.Put(written.next)
		shown = h.shown(tx, a, written.next)
		h.note(rq, tx, a, written.next)
		return nil
	})
	if err != nil {
		return err
	}
	status := a.kind.Status.PutStatus()
	switch {
	case patch:
		status = a.kind.Status.PatchStatus()
	case rq.created:
		status = a.kind.Status.CreateStatus()
	}
	return h.respond(rq, written.kind, written.next, shown, status)
}

// build makes the new version of a resource and the changes that go with it.
func (h *Handler) build(rq *request, tx resource.Tx, a address, body resource.Body, patch bool, proof any) (update, error) {
	if patch {
		if _, _, err := h.look(tx, a); err != nil {
			return update{}, err
		}
	} else if err := h.findPlace(tx, a); err != nil {
		return update{}, err
	}
	id, kind, err := h.makeRoom(rq, tx, a)
	if err != nil {
		return update{}, err
	}
	v := update{kind: kind}
	var exists bool
	v.old, exists = tx.Get(id)
	rq.created = !exists
	if exists {
		id = v.old.ID // keeps the casing of creation
	} else if err := mayCreate(tx, id, kind); err != nil {
		return update{}, err
	} else {
		id = rooted(tx, id)
	}
	v.next, err = kind.Write(&resource.Write{
		Tx: tx, ID: id, Old: v.old, Body: body, Patch: patch, APIVersion: rq.version, Proof: proof, Caller: rq.caller.ObjectID, Now: rq.now,
		Authorize: func(action string, scope resource.ID) error { return h.authorizeToo(rq, action, scope) },
	})
	if err == nil {
		err = h.requireRoom(tx, v)
	}
	return v, err
}

func mayCreate(tx resource.Tx, id resource.ID, kind *resource.Kind) error {
	if err := requireParent(tx, id); err != nil {
		return err
	}
	switch {
	case kind.Service:
		return resource.Invalid("A resource of type '%s' is created by the service on behalf of a partner; '%s' does not exist.", kind.Type, id.Name())
	case kind.Names != nil && !kind.Names.MatchString(id.Name()):
		return resource.Invalid("The name '%s' of the resource of type '%s' is invalid: it must consist of %s.", id.Name(), kind.Type, kind.NameRule)
	}
	return nil
}

// remove serves DELETE. What is not there is deleted already: 204. A resource
// that takes very much along goes in several transactions; cut short, it is
// left with less, and deleting it again goes on.
func (h *Handler) remove(rq *request, a address) error {
	if err := h.authorize(rq, a.action("delete"), a.authority()); err != nil {
		return err
	}
	rq.concerns(a.id, a.id)
	existed := false
	for gone := false; !gone; {
		found, foreign := false, h.foreignTypesStored()
		err := h.commit(rq, func(tx resource.Tx) error {
			found, gone = false, true
			if err := h.findFor(tx, a.kind, a.id); err != nil {
				return err
			}
			id, kind, ok := h.locate(tx, a)
			if !ok {
				return nil
			}
			r, ok := tx.Get(id)
			if !ok {
				gone = sweep(tx, foreign, id, deletionChunk)
				return nil
			}
			found = true
			h.note(rq, tx, a, r)
			var err error
			gone, err = kind.Remove(&resource.Deletion{Tx: tx, Caller: rq.caller.ObjectID, Now: rq.now}, r)
			if err == nil && gone {
				gone = sweep(tx, foreign, id, deletionChunk)
			}
			return err
		})
		if err != nil {
			return err
		}
		existed = existed || found
	}
	status := http.StatusNoContent
	if existed {
		status = a.kind.Status.DeleteStatus()
	}
	rq.out.WriteHeader(status)
	return nil
}

// act serves POST.
func (h *Handler) act(rq *request, a address) error {
	name := rq.path.Tail
	action, ok := a.kind.Actions[strings.ToLower(name)]
	if !ok {
		return resource.Errorf(resource.InvalidResourceType, "A resource of type '%s' has no action '%s'.", a.kind.Type, name)
	}
	if err := h.authorize(rq, a.action(name+"/action"), a.authority()); err != nil {
		return err
	}
	rq.concerns(a.id, a.id)
	body, err := rq.bodyOf(smallBody)
	if err != nil {
		return err
	}
	var (
		answer any
		after  *resource.Resource
		kind   *resource.Kind
		shown  resource.ID
	)
	run := func(tx resource.Tx) error {
		if after, kind, err = h.look(tx, a); err != nil {
			return err
		}
		h.note(rq, tx, a, after)
		answer, err = action.Do(&resource.Call{Tx: tx, Resource: after, Body: body, Caller: rq.caller.ObjectID, Now: rq.now})
		if err != nil {
			return err
		}
		if r, ok := tx.Get(after.ID); ok {
			after = r
		}
		shown = h.shown(tx, a, after)
		return nil
	}
	if action.Reads {
		tx := readOnly{h.Store}
		locks := h.locksFor(rq, tx)
		if err = locks.refuse(a.id); err == nil {
			err = run(tx)
		}
		if err == nil {
			err = locks.refuse(rq.stored)
		}
	} else {
		err = h.commit(rq, run)
	}
	if err != nil {
		return err
	}
	if answer != nil {
		writeJSON(rq.out, http.StatusOK, answer)
		return nil
	}
	return h.respond(rq, kind, after, shown, http.StatusOK)
}

func (h *Handler) methodNotAllowed(rq *request, allow string) error {
	rq.out.Header().Set("Allow", allow)
	return resource.Errorf(resource.MethodNotAllowed, "The method '%s' is not allowed on '%s'.", rq.http.Method, rq.http.URL.Path)
}
