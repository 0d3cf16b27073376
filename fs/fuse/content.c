#include "fs/fuse/content.h"

#include <assert.h>
#include <errno.h>

#include "fs/fuse/inode.h"
#include "fs/fuse/session.h"

/* How long the kernel may take from ESTALE to opening again: it looks up a path in between. */
#define REPEAT_NS (1 * NSEC_PER_SEC)
/* More at a time do not begin again: they would only make each open(2) slower. */
#define REPEATS_MAX 64

/* An open(2) that begins again. */
struct repeat {
        struct list link; /* in the pool */
        struct session *session;
        pid_t pid;
        uint64_t begun;      /* the request's stamp then */
        struct inode *inode; /* what the path leads to then; a reference */
        struct content *content;
        struct qmp_timer timer;
};

static void textp_free(struct text *text)
{
        free(text->data);
}

/* --- the content ------------------------------------------------------------------------------------------------ */

static uint64_t generation(const struct inode *inode)
{
        return inode->row && inode->vm ? inode->vm->news[inode->row->channel].generation : 0;
}

static uint64_t epoch(const struct inode *inode)
{
        return inode->vm ? inode->vm->peer.epoch : 0;
}

static struct content *content_ref(struct content *content)
{
        content->refs++;
        return content;
}

struct content *content_unref(struct content *content)
{
        struct content old;

        if (!content || --content->refs > 0)
                return NULL;
        if (content->inode)
                content->inode->content = NULL;
        old = *content;
        free(content->text.data);
        free(content);
        (void)memory_change(&old.session->memory, old.foreign, old.text.size, 0);
        return NULL;
}

bool content_is_current(const struct content *content, const struct inode *inode)
{
        return content->epoch == epoch(inode) && content->generation == generation(inode);
}

static bool is_equal(const struct content *a, const struct content *b)
{
        return a->text.size == b->text.size && memcmp(a->text.data, b->text.data, a->text.size) == 0;
}

/* Asks for the content as of now. 0, WAITER_PARKED or an error. */
static int fetch(struct request *r, struct content **ret_content)
{
        struct session *session = r->session;
        _cleanup_(textp_free) struct text text = { 0 };
        bool foreign = memory_is_foreign(r);
        struct content *content;
        int e = r->inode->kind->render(r, r->inode, &text);

        if (e)
                return e;
        content = calloc(1, sizeof(*content));
        if (!content)
                return -ENOMEM;
        if (memory_change(&session->memory, foreign, 0, text.size) < 0) {
                free(content);
                (void)memory_fail(r, foreign);
                return -ENOMEM;
        }
        content->refs = 1;
        content->session = session;
        content->foreign = foreign;
        content->epoch = epoch(r->inode);
        content->generation = generation(r->inode);
        content->asked = r->waiter.arrival;
        content->text = take_text(&text);
        *ret_content = content;
        return 0;
}

static void attach(struct inode *inode, struct content *content)
{
        assert(!inode->content);
        inode->content = content;
        content->inode = inode;
        inode_set_size(inode, (int64_t)content->text.size);
}

/* Makes it the inode's, or what the inode has the file's, if that is the same. Takes over the reference. */
static struct content *adopt(struct inode *inode, struct content *content)
{
        if (!inode->content) {
                attach(inode, content);
        } else if (inode->content != content && is_equal(inode->content, content)) {
                inode->content->epoch = content->epoch;
                inode->content->generation = content->generation;
                if (content->asked > inode->content->asked)
                        inode->content->asked = content->asked;
                content_unref(content);
                content = content_ref(inode->content);
        }
        return content;
}

/*
 * Replaces the content by the one that the inode already has, if QEMU was queried for that after this open(2) began.
 * Otherwise processes that open the file at the same time would take the path from each other, where each query has
 * another result. Takes over the reference.
 */
static struct content *share(const struct request *r, struct inode *inode, struct content *content)
{
        if (!inode->content || inode->content == content || inode->content->asked < r->begun ||
            !content_is_current(inode->content, inode))
                return content;
        content_unref(content);
        return content_ref(inode->content);
}

/* --- openings that begin again ---------------------------------------------------------------------------------- */

static void repeat_free(struct repeat *repeat)
{
        list_unlink(&repeat->link);
        qmp_timer_disarm(repeat->session->loop, &repeat->timer);
        content_unref(repeat->content);
        inode_unref(repeat->inode);
        free(repeat);
}

static void expire(struct qmp_timer *timer)
{
        repeat_free(container_of(timer, struct repeat, timer));
}

/* By the process that does it; 0 is one that the daemon cannot see from its PID namespace. */
static struct repeat *repeat_find(const struct content_pool *pool, pid_t pid, size_t *ret_n)
{
        struct repeat *found = NULL;

        *ret_n = 0;
        list_for_each(i, &pool->repeats) {
                struct repeat *repeat = list_entry(i, struct repeat, link);

                if (repeat->pid == pid)
                        found = repeat;
                ++*ret_n;
        }
        return found;
}

/*
 * Whether open(2) can begin again. Only with a process that is known by its PID, and only once: the kernel gives
 * ESTALE to the caller the second time. Not where each lookup gives another inode. "-o sizes=exact" is for NFS
 * servers, which open by inode and would return ESTALE to their clients; it has the size right but for what changes
 * in between.
 */
static bool can_repeat(const struct request *r, size_t n_repeats)
{
        return !r->repeated && fuse_req_ctx(r->req)->pid != 0 && !r->inode->kind->own_inode &&
               !r->session->options.exact_sizes && n_repeats < REPEATS_MAX;
}

/* Takes over the content. -ESTALE or -ENOMEM. */
static int begin_again(struct request *r, struct content *content)
{
        struct repeat *repeat = calloc(1, sizeof(*repeat));
        struct inode *inode = NULL;
        int e = repeat ? 0 : -ENOMEM;

        if (repeat)
                inode = inode_ref(r->inode);
        /* another may have had the path lead to a new one since the lookup, which has a content of its own */
        while (e == 0 && inode->content && inode->content != content && !is_equal(inode->content, content)) {
                struct inode *old = inode;

                e = inode_renew(old, &inode);
                inode_unref(old);
                if (e < 0)
                        inode = NULL;
                else
                        content = share(r, inode, content);
        }
        if (!inode) {
                free(repeat);
                content_unref(content);
                return e;
        }
        repeat->session = r->session;
        repeat->pid = fuse_req_ctx(r->req)->pid;
        repeat->begun = r->begun;
        repeat->inode = inode;
        repeat->content = adopt(inode, content);
        repeat->timer.fire = expire;
        qmp_timer_arm(r->session->loop, &repeat->timer, qmp_now() + REPEAT_NS);
        list_append(&r->session->contents.repeats, &repeat->link);
        return -ESTALE;
}

int content_open(struct request *r, struct content **ret_content)
{
        struct inode *inode = r->inode;
        struct content *content = NULL;
        size_t n;
        struct repeat *repeat = repeat_find(&r->session->contents, fuse_req_ctx(r->req)->pid, &n);
        int e;

        if (repeat) {
                r->repeated = true;
                if (repeat->inode == inode)
                        content = take_ptr(repeat->content);
                if (repeat->inode->parent == inode->parent && streq(repeat->inode->name, inode->name))
                        r->begun = repeat->begun;
                repeat_free(repeat);
        }
        if (content) {
                *ret_content = share(r, inode, content);
                return 0;
        }
        e = fetch(r, &content);
        if (e)
                return e;
        content = share(r, inode, content);
        if (((inode->content && !is_equal(inode->content, content)) || (int64_t)content->text.size > inode->told) &&
            can_repeat(r, n))
                return begin_again(r, content);
        *ret_content = adopt(inode, content);
        return 0;
}

int content_renew(struct request *r, struct file *file)
{
        struct inode *inode = file->inode;
        struct content *content, *old;
        int e = fetch(r, &content);

        if (e)
                return e;
        old = take_ptr(file->content);
        /* the size stays what the others have, if there are others */
        if (old && old == inode->content && old->refs == 1 && !is_equal(old, content)) {
                inode->content = NULL;
                old->inode = NULL;
        }
        file->content = adopt(inode, content);
        content_unref(old);
        return 0;
}

int content_require_size(struct request *r, struct inode *inode)
{
        _cleanup_(textp_free) struct text text = { 0 };
        int e;

        if (!r->session->options.exact_sizes || !inode->kind->render || inode->content)
                return 0;
        e = inode->kind->render(r, inode, &text);
        if (e == WAITER_PARKED || e == -ENOMEM)
                return e;
        inode->size = e == 0 ? (int64_t)text.size : 0;
        /* open(2) reports the reason */
        free(take_ptr(r->waiter.reason));
        return 0;
}

void content_pool_init(struct content_pool *pool)
{
        list_init(&pool->repeats);
}

void content_pool_deinit(struct session *session)
{
        list_for_each_safe(i, &session->contents.repeats)
                repeat_free(list_entry(i, struct repeat, link));
}
