/*
 * What a child prints, on its way to the terminal and into the log: with readers that are slow or
 * gone, lines without an end, and a pipe that somebody else holds open.
 */
#include "scratch.h"

#include "runner/job/tee.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    READ = 0,
    WRITE = 1
};

/* A tee between two pipes of a child and two of a terminal. */
struct scene {
    char *folder;
    struct log_file *file;
    struct tee tee;
    int child[2];    /* writing ends: stdout, stderr */
    int terminal[2]; /* reading ends */
    int ours[2];     /* the terminal's writing ends */
};

static void open_scene(struct scene *scene)
{
    int in[2][2];
    int out[2][2];
    scene->folder = scratch_make();
    scene->file = log_file_open(scratch_path(scene->folder, "r.log"), 1 << 20);
    assert_non_null(scene->file);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pipe2(in[i], O_CLOEXEC), 0);
        assert_int_equal(pipe2(out[i], O_CLOEXEC), 0);
        scene->child[i] = in[i][WRITE];
        scene->terminal[i] = out[i][READ];
        scene->ours[i] = out[i][WRITE];
    }
    assert_true(tee_init(&scene->tee, scene->file, in[0][READ], in[1][READ]));
    scene->tee.streams[0].out = scene->ours[0];
    scene->tee.streams[1].out = scene->ours[1];
}

static void say(struct scene *scene, int stream, const char *text)
{
    assert_int_equal(write(scene->child[stream], text, strlen(text)), (ssize_t)strlen(text));
}

/* Steps while there is something to be done at once. */
static void settle(struct scene *scene)
{
    struct pollfd fds[TEE_STREAMS];
    size_t count = 0;
    while ((count = tee_poll(&scene->tee, fds)) > 0 && poll(fds, count, 0) > 0) {
        tee_step(&scene->tee, fds, count);
    }
}

/* What has come to the terminal, up to size - 1 bytes. */
static void seen(struct scene *scene, int stream, char *text, size_t size)
{
    ssize_t got = read(scene->terminal[stream], text, size - 1);
    text[got > 0 ? got : 0] = '\0';
}

static void end_child(struct scene *scene)
{
    for (size_t i = 0; i < 2; i++) {
        if (scene->child[i] >= 0) {
            close(scene->child[i]);
        }
        scene->child[i] = -1;
    }
}

/* Ends all; the log's text, the caller's. */
static char *close_scene(struct scene *scene)
{
    size_t size = 0;
    end_child(scene);
    log_file_close(scene->file);
    char *text = scratch_read(scene->folder, "r.log", &size);
    char *whole = calloc(1, size + 1);
    assert_non_null(text);
    assert_non_null(whole);
    memcpy(whole, text, size);
    free(text);
    for (size_t i = 0; i < 2; i++) {
        close(scene->ours[i]);
        if (scene->terminal[i] >= 0) {
            close(scene->terminal[i]);
        }
    }
    scratch_remove(scene->folder);
    return whole;
}

static void bytes_go_on_at_once_and_lines_into_the_log(void **state)
{
    (void)state;
    struct scene scene;
    char text[64];
    open_scene(&scene);
    say(&scene, 0, "epoch ");
    settle(&scene);
    seen(&scene, 0, text, sizeof text);
    assert_string_equal(text, "epoch "); /* a line without an end is shown at once */
    say(&scene, 1, "warn\n");
    say(&scene, 0, "1\nepoch 2");
    settle(&scene);
    seen(&scene, 0, text, sizeof text);
    assert_string_equal(text, "1\nepoch 2");
    seen(&scene, 1, text, sizeof text);
    assert_string_equal(text, "warn\n");
    end_child(&scene);
    settle(&scene);
    struct pollfd fds[TEE_STREAMS];
    assert_int_equal(tee_poll(&scene.tee, fds), 0);
    tee_finish(&scene.tee, 1);
    char *log = close_scene(&scene);
    /* each line whole, though they came in pieces; of the two streams either may be first */
    assert_non_null(strstr(log, "epoch 1\n"));
    assert_non_null(strstr(log, "warn\n"));
    assert_string_equal(log + strlen(log) - 8, "epoch 2\n");
    free(log);
}

static void a_reader_that_stops_reading_slows_the_child_and_holds_nobody(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene);
    /* Fill the terminal's pipe; the child's then fills too, and a write to it would block. */
    char piece[TEE_PIECE];
    memset(piece, 'x', sizeof piece - 1);
    piece[sizeof piece - 1] = '\n';
    fcntl(scene.child[0], F_SETFL, O_NONBLOCK);
    size_t said = 0;
    for (size_t tries = 0; tries < 1000; tries++) {
        settle(&scene); /* comes back though nobody reads */
        ssize_t done = write(scene.child[0], piece, sizeof piece);
        if (done < 0) {
            break;
        }
        said += (size_t)done;
    }
    assert_in_range(said, 64 * 1024, 999 * sizeof piece);
    /* The other stream is not held up. */
    char text[64];
    say(&scene, 1, "alive\n");
    settle(&scene);
    seen(&scene, 1, text, sizeof text);
    assert_string_equal(text, "alive\n");
    /* At the end all that was said is in the log, the terminal's copy or not. */
    end_child(&scene);
    tee_finish(&scene.tee, 0.05);
    char *log = close_scene(&scene);
    assert_int_equal(strlen(log), said + strlen("alive\n"));
    free(log);
}

static void a_reader_that_went_away_costs_only_its_copy(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene);
    close(scene.terminal[0]);
    scene.terminal[0] = -1;
    say(&scene, 0, "one\n");
    settle(&scene);
    say(&scene, 0, "two\n");
    settle(&scene);
    end_child(&scene);
    tee_finish(&scene.tee, 1);
    char *log = close_scene(&scene);
    assert_string_equal(log, "one\ntwo\n");
    free(log);
}

static void a_line_without_an_end_is_cut(void **state)
{
    (void)state;
    struct scene scene;
    char piece[1024];
    open_scene(&scene);
    memset(piece, 'y', sizeof piece);
    for (size_t i = 0; i < 2 * TEE_LINE / sizeof piece; i++) {
        assert_int_equal(write(scene.child[0], piece, sizeof piece), (ssize_t)sizeof piece);
        settle(&scene);
        char text[sizeof piece + 1];
        seen(&scene, 0, text, sizeof text);
    }
    end_child(&scene);
    tee_finish(&scene.tee, 1);
    char *log = close_scene(&scene);
    assert_int_equal(strcspn(log, "\n"), TEE_LINE - 1);
    size_t y = 0;
    for (const char *at = log; *at; at++) {
        y += *at == 'y';
    }
    assert_int_equal(y, 2 * TEE_LINE);
    free(log);
}

static void a_pipe_that_another_holds_open_is_left_after_a_while(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene);
    say(&scene, 0, "last words");
    tee_finish(&scene.tee, 0.05); /* the child's ends are still open: some orphan has them */
    char *log = close_scene(&scene);
    assert_string_equal(log, "last words\n");
    free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_on_at_once_and_lines_into_the_log),
        cmocka_unit_test(a_reader_that_stops_reading_slows_the_child_and_holds_nobody),
        cmocka_unit_test(a_reader_that_went_away_costs_only_its_copy),
        cmocka_unit_test(a_line_without_an_end_is_cut),
        cmocka_unit_test(a_pipe_that_another_holds_open_is_left_after_a_while),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
