#include "scene.h"

struct storage_config scene_config(void)
{
    return (struct storage_config){.access = {.access_key = "AK", .secret_key = "SK"},
                                   .attempts_max = 3};
}

void scene_open(struct scene *scene, const struct storage_config *given,
                const struct script_step *steps, size_t count)
{
    struct storage_url url = {.kind = STORAGE_S3, .bucket = "bkt"};
    struct storage_config config = *given;
    memset(scene, 0, sizeof *scene);
    scene->server = scripted_server_start(steps, count);
    config.access.endpoint = scripted_server_endpoint(scene->server);
    config.stop = &scene->stop;
    if (storage_open(&scene->store, &url, &config, &scene->err) != STORAGE_OK) {
        fail_msg("%s", scene->err.message);
    }
}

void scene_start(struct scene *scene, const struct script_step *steps, size_t count)
{
    struct storage_config config = scene_config();
    scene_open(scene, &config, steps, count);
}

void scene_finish(struct scene *scene)
{
    storage_close(scene->store);
    scripted_server_finish(scene->server);
}

void scene_must(struct scene *scene, enum storage_code code)
{
    if (code != STORAGE_OK) {
        fail_msg("%s", scene->err.message);
    }
}

enum storage_code scene_read_key(struct scene *scene)
{
    char data[16];
    size_t got = 0;
    return storage_read(scene->store, "k", 0, data, sizeof data, NULL, &got, NULL, &scene->err);
}

void scene_assert_sent(const struct scene *scene, size_t n, const char *text, bool is_there)
{
    const char *request = scripted_server_request(scene->server, n);
    if ((strstr(request, text) != NULL) != is_there) {
        fail_msg("request %zu: %s %s in\n%s", n, text, is_there ? "is not" : "is", request);
    }
}
