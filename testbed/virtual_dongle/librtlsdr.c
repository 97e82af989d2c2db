/*
 * A dongle made of a file: librtlsdr's API as pyrtlsdr loads it, without USB and without hardware.
 *
 *   cc -O2 -shared -fPIC -o librtlsdr.so librtlsdr.c -lm -lpthread
 *   AIRSHED_VIRTUAL_DONGLE=dongle.conf AIRSHED_LIBRTLSDR=./librtlsdr.so airshed sense --source rtlsdr
 *
 * dongle.conf has one `key value` a line and is read anew each time a device is counted or opened, so that a test
 * can mend or break the dongle while the program under test runs. Keys (defaults in brackets):
 *
 *   file PATH            cu8 samples to play; this or rtl_tcp is needed by read_async and read_sync
 *   rtl_tcp HOST:PORT    samples come from that rtl_tcp server instead, which is told rate, centre and gain
 *   serials A,B          serial numbers, one dongle each [00000001]
 *   pace real | flat     at the sample rate, or as fast as the callback returns [real]
 *   loop 0 | 1           start over at the end of the file [0: the read ends there]
 *   limit_bytes N        play at most N bytes in one read [67108864]
 *   gain_reference T     tenths of dB at which the file is played unchanged; other gains scale it [-1: gain is ignored]
 *   log PATH             append every call that configures the dongle
 *   absent 0 | 1         nothing is plugged in
 *   busy 0 | 1           open answers -6, as with the DVB driver loaded
 *   denied 0 | 1         open answers -3, as without the udev rule
 *   stall_after N        after N bytes of one read no callback comes any more
 *   unplug_after N       after N bytes of one read it returns unplug_status, and no dongle is there any more until
 *                        the settings are written anew
 *   unplug_status N      [-4; 0 imitates versions that end in silence]
 *   short_every N        every Nth transfer is cut to half its length [0: none]
 *   lose_every N         before every Nth transfer the dongle's buffer ran over: 1000 bytes are gone, and nobody is
 *                        told [0: none]
 *
 * A faithful imitation where a program could notice: rates are refused and rounded as the RTL2832 does it, gains are
 * those of the R820T, setting the present ppm once more answers -2, closing waits for the running read.
 * With -DAPI_0_6 the functions are left out that Debian 12's librtlsdr 0.6.0 has not.
 */
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))

enum { IO_ERROR = -1, DENIED = -3, BUSY = -6 };
enum { TUNER_R820T = 5, MAX_DONGLES = 8, NAME = 256, PATH = 1024, OVERFLOW = 1000 };
/* rtl_tcp: what its server says first, and the commands that it is told. */
enum { GREETING = 12, TELL_CENTER = 1, TELL_RATE = 2, TELL_GAIN_MODE = 3, TELL_GAIN = 4 };

/* librtlsdr's defaults: 15 transfers of 16 x 32 x 512 bytes. */
static const uint32_t DEFAULT_TRANSFER = 16 * 32 * 512;
static const double CRYSTAL_HZ = 28.8e6;

/* The R820T's gains in tenths of dB, as every dongle with that tuner lists them. */
static const int GAINS[] = {0,   9,   14,  27,  37,  77,  87,  125, 144, 157, 166, 197, 207, 229, 254,
                            280, 297, 328, 338, 364, 372, 386, 402, 421, 434, 439, 445, 480, 496};
enum { GAIN_COUNT = sizeof GAINS / sizeof GAINS[0] };

struct settings {
    char file[PATH], log[PATH], rtl_tcp[PATH], serials[MAX_DONGLES][NAME];
    int dongles, real_time, loop, absent, busy, denied, unplug_status, gain_reference;
    long limit_bytes, stall_after, unplug_after, short_every, lose_every;
    struct stat version; /* of the settings file */
};

typedef struct rtlsdr_dev {
    struct settings settings;
    FILE *samples;
    int server; /* socket of the rtl_tcp server, -1 without one */
    uint32_t rate_hz, center_hz;
    int ppm, gain, manual_gain, agc, testmode, lost;
    uint8_t counter; /* of the test mode: every byte is one more than the one before */
    volatile int reading, cancelled;
    uint8_t scaled[256];
} rtlsdr_dev_t;

typedef void (*read_callback)(unsigned char *buffer, uint32_t length, void *context);

/* Which settings file was in force when the dongle was unplugged: writing it anew plugs the dongle in again. */
static pthread_mutex_t unplugged_lock = PTHREAD_MUTEX_INITIALIZER;
static struct stat unplugged;

static void split_serials(struct settings *settings, const char *text)
{
    char copy[NAME * MAX_DONGLES], *rest = copy, *word;
    snprintf(copy, sizeof copy, "%s", text);
    settings->dongles = 0;
    while (settings->dongles < MAX_DONGLES && (word = strsep(&rest, ",")) != NULL)
        snprintf(settings->serials[settings->dongles++], NAME, "%s", word);
}

static void set_key(struct settings *settings, const char *key, const char *value)
{
    struct { const char *key; int *value; } switches[] = {
        {"loop", &settings->loop}, {"absent", &settings->absent}, {"busy", &settings->busy},
        {"denied", &settings->denied}, {"unplug_status", &settings->unplug_status},
        {"gain_reference", &settings->gain_reference},
    };
    struct { const char *key; long *value; } counts[] = {
        {"limit_bytes", &settings->limit_bytes}, {"stall_after", &settings->stall_after},
        {"unplug_after", &settings->unplug_after}, {"short_every", &settings->short_every},
        {"lose_every", &settings->lose_every},
    };
    size_t i;
    for (i = 0; i < sizeof switches / sizeof switches[0]; i++)
        if (strcmp(key, switches[i].key) == 0)
            *switches[i].value = atoi(value);
    for (i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (strcmp(key, counts[i].key) == 0)
            *counts[i].value = atol(value);
    if (strcmp(key, "file") == 0)
        snprintf(settings->file, PATH, "%s", value);
    if (strcmp(key, "log") == 0)
        snprintf(settings->log, PATH, "%s", value);
    if (strcmp(key, "rtl_tcp") == 0)
        snprintf(settings->rtl_tcp, PATH, "%s", value);
    if (strcmp(key, "serials") == 0)
        split_serials(settings, value);
    if (strcmp(key, "pace") == 0)
        settings->real_time = strcmp(value, "flat") != 0;
}

static struct settings read_settings(void)
{
    struct settings settings = {.real_time = 1, .unplug_status = -4, .limit_bytes = 64L << 20,
                                .stall_after = -1, .unplug_after = -1, .gain_reference = -1};
    const char *path = getenv("AIRSHED_VIRTUAL_DONGLE");
    char line[PATH + NAME], key[NAME], value[PATH];
    FILE *file = path ? fopen(path, "r") : NULL;
    split_serials(&settings, "00000001");
    if (!file) {
        settings.absent = 1;
        return settings;
    }
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "%255s %1023[^\n]", key, value) == 2)
            set_key(&settings, key, value);
    fstat(fileno(file), &settings.version);
    fclose(file);
    pthread_mutex_lock(&unplugged_lock);
    if (unplugged.st_ino == settings.version.st_ino && unplugged.st_mtim.tv_sec == settings.version.st_mtim.tv_sec
        && unplugged.st_mtim.tv_nsec == settings.version.st_mtim.tv_nsec)
        settings.absent = 1;
    pthread_mutex_unlock(&unplugged_lock);
    return settings;
}

static void note(const rtlsdr_dev_t *dev, const char *what, long value)
{
    FILE *log = dev->settings.log[0] ? fopen(dev->settings.log, "a") : NULL;
    if (!log)
        return;
    fprintf(log, "%s %ld\n", what, value);
    fclose(log);
}

/* What the samples become at another gain than the file's: scaled around the middle of the converter and clipped. */
static void scale_samples(rtlsdr_dev_t *dev)
{
    double ratio = 1.0;
    int i;
    if (dev->settings.gain_reference >= 0)
        ratio = pow(10.0, (dev->gain - dev->settings.gain_reference) / 200.0);
    for (i = 0; i < 256; i++)
        dev->scaled[i] = (uint8_t)fmin(255.0, fmax(0.0, floor(127.5 + (i - 127.5) * ratio + 0.5)));
}

/* ---- an rtl_tcp server in place of a file ---- */

/* The socket, with the server's greeting taken off; -1 when nothing answers there. */
static int connect_server(const char *place)
{
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found = NULL, *one;
    char host[PATH], *port, greeting[GREETING];
    int server = -1;
    snprintf(host, PATH, "%s", place);
    port = strrchr(host, ':');
    if (!port)
        return -1;
    *port++ = '\0';
    if (getaddrinfo(host, port, &wanted, &found) != 0)
        return -1;
    for (one = found; one && server < 0; one = one->ai_next) {
        server = socket(one->ai_family, one->ai_socktype, one->ai_protocol);
        if (server >= 0 && connect(server, one->ai_addr, one->ai_addrlen) != 0) {
            close(server);
            server = -1;
        }
    }
    freeaddrinfo(found);
    if (server >= 0 && recv(server, greeting, GREETING, MSG_WAITALL) != GREETING) {
        close(server);
        server = -1;
    }
    return server;
}

static void tell_server(const rtlsdr_dev_t *dev, uint8_t command, uint32_t value)
{
    uint8_t message[] = {command, value >> 24, value >> 16, value >> 8, value};
    if (dev->server >= 0 && send(dev->server, message, sizeof message, MSG_NOSIGNAL) != sizeof message)
        note(dev, "server gone", command);
}

/* Samples from before the last setting are thrown away, whole ones. */
static void drain_server(const rtlsdr_dev_t *dev)
{
    char old[4096];
    ssize_t got;
    long total = 0;
    while (dev->server >= 0 && (got = recv(dev->server, old, sizeof old, MSG_DONTWAIT)) > 0)
        total += got;
    if (total % 2 && recv(dev->server, old, 1, MSG_WAITALL) != 1)
        note(dev, "server gone", 0);
}

/* ---- finding and opening ---- */

API uint32_t rtlsdr_get_device_count(void)
{
    struct settings settings = read_settings();
    return settings.absent ? 0 : (uint32_t)settings.dongles;
}

API const char *rtlsdr_get_device_name(uint32_t index)
{
    return index < rtlsdr_get_device_count() ? "Airshed virtual dongle" : "";
}

API int rtlsdr_get_device_usb_strings(uint32_t index, char *maker, char *product, char *serial)
{
    struct settings settings = read_settings();
    if (settings.absent || index >= (uint32_t)settings.dongles)
        return -2;
    if (maker)
        strcpy(maker, "Airshed");
    if (product)
        strcpy(product, "virtual");
    if (serial)
        strcpy(serial, settings.serials[index]);
    return 0;
}

API int rtlsdr_get_index_by_serial(const char *serial)
{
    struct settings settings = read_settings();
    int i;
    if (!serial)
        return -1;
    if (settings.absent || settings.dongles == 0)
        return -2;
    for (i = 0; i < settings.dongles; i++)
        if (strcmp(serial, settings.serials[i]) == 0)
            return i;
    return -3;
}

API int rtlsdr_open(rtlsdr_dev_t **out, uint32_t index)
{
    struct settings settings = read_settings();
    rtlsdr_dev_t *dev;
    if (settings.absent || index >= (uint32_t)settings.dongles)
        return IO_ERROR;
    if (settings.denied)
        return DENIED;
    if (settings.busy)
        return BUSY;
    dev = calloc(1, sizeof *dev);
    dev->settings = settings;
    dev->samples = settings.file[0] ? fopen(settings.file, "rb") : NULL;
    dev->server = settings.rtl_tcp[0] ? connect_server(settings.rtl_tcp) : -1;
    if (settings.rtl_tcp[0] && dev->server < 0) {
        free(dev);
        return IO_ERROR;
    }
    dev->rate_hz = 2048000;
    scale_samples(dev);
    note(dev, "open", (long)index);
    *out = dev;
    return 0;
}

API int rtlsdr_close(rtlsdr_dev_t *dev)
{
    if (!dev)
        return -1;
    while (dev->reading && !dev->lost)
        usleep(1000);
    note(dev, "close", 0);
    if (dev->samples)
        fclose(dev->samples);
    if (dev->server >= 0)
        close(dev->server);
    free(dev);
    return 0;
}

/* ---- configuration ---- */

API int rtlsdr_set_center_freq(rtlsdr_dev_t *dev, uint32_t hz)
{
    note(dev, "center", hz);
    if (hz < 24000000u || hz > 1766000000u)
        return -1; /* the tuner's PLL does not lock */
    dev->center_hz = hz;
    tell_server(dev, TELL_CENTER, hz);
    return 0;
}

API uint32_t rtlsdr_get_center_freq(rtlsdr_dev_t *dev) { return dev->center_hz; }

API int rtlsdr_set_freq_correction(rtlsdr_dev_t *dev, int ppm)
{
    note(dev, "ppm", ppm);
    if (dev->ppm == ppm)
        return -2;
    dev->ppm = ppm;
    return 0;
}

API int rtlsdr_get_freq_correction(rtlsdr_dev_t *dev) { return dev->ppm; }
API int rtlsdr_get_tuner_type(rtlsdr_dev_t *dev) { return dev ? TUNER_R820T : 0; }

API int rtlsdr_get_tuner_gains(rtlsdr_dev_t *dev, int *gains)
{
    (void)dev;
    if (gains)
        memcpy(gains, GAINS, sizeof GAINS);
    return GAIN_COUNT;
}

API int rtlsdr_set_tuner_gain(rtlsdr_dev_t *dev, int gain)
{
    note(dev, "gain", gain);
    dev->gain = gain;
    scale_samples(dev);
    tell_server(dev, TELL_GAIN, (uint32_t)gain);
    return 0;
}

API int rtlsdr_get_tuner_gain(rtlsdr_dev_t *dev) { return dev->gain; }

API int rtlsdr_set_tuner_gain_mode(rtlsdr_dev_t *dev, int manual)
{
    note(dev, "gain_mode", manual);
    dev->manual_gain = manual;
    tell_server(dev, TELL_GAIN_MODE, (uint32_t)manual);
    return 0;
}

API int rtlsdr_set_agc_mode(rtlsdr_dev_t *dev, int on)
{
    note(dev, "agc", on);
    dev->agc = on;
    return 0;
}

API int rtlsdr_set_sample_rate(rtlsdr_dev_t *dev, uint32_t hz)
{
    uint32_t ratio, real_ratio;
    note(dev, "rate", hz);
    if (hz <= 225000 || hz > 3200000 || (hz > 300000 && hz <= 900000))
        return -EINVAL;
    /* The resampler's ratio has 28 bits, the lowest two of which are zero. */
    ratio = (uint32_t)(CRYSTAL_HZ * 4194304.0 / hz) & 0x0ffffffcu;
    real_ratio = ratio | ((ratio & 0x08000000u) << 1);
    dev->rate_hz = (uint32_t)(CRYSTAL_HZ * 4194304.0 / real_ratio);
    tell_server(dev, TELL_RATE, hz);
    return 0;
}

API uint32_t rtlsdr_get_sample_rate(rtlsdr_dev_t *dev) { return dev->rate_hz; }

API int rtlsdr_set_testmode(rtlsdr_dev_t *dev, int on)
{
    dev->testmode = on;
    return 0;
}

API int rtlsdr_set_direct_sampling(rtlsdr_dev_t *dev, int on) { return dev ? 0 : on; }
API int rtlsdr_set_bias_tee(rtlsdr_dev_t *dev, int on) { return dev ? 0 : on; }
API int rtlsdr_set_tuner_bandwidth(rtlsdr_dev_t *dev, uint32_t hz) { return dev ? 0 : (int)hz; }
API int rtlsdr_set_xtal_freq(rtlsdr_dev_t *dev, uint32_t rtl, uint32_t tuner) { return dev ? 0 : (int)(rtl + tuner); }

API int rtlsdr_get_xtal_freq(rtlsdr_dev_t *dev, uint32_t *rtl, uint32_t *tuner)
{
    (void)dev;
    if (rtl)
        *rtl = (uint32_t)CRYSTAL_HZ;
    if (tuner)
        *tuner = (uint32_t)CRYSTAL_HZ;
    return 0;
}

#ifndef API_0_6
API int rtlsdr_set_dithering(rtlsdr_dev_t *dev, int on) { return dev ? 0 : on; }
API int rtlsdr_set_gpio_output(rtlsdr_dev_t *dev, uint8_t pin) { return dev ? 0 : pin; }
API int rtlsdr_set_gpio_input(rtlsdr_dev_t *dev, uint8_t pin) { return dev ? 0 : pin; }
API int rtlsdr_set_gpio_bit(rtlsdr_dev_t *dev, uint8_t pin, int on) { return dev ? 0 : pin + on; }
API int rtlsdr_get_gpio_bit(rtlsdr_dev_t *dev, uint8_t pin, int *on) { return dev && on ? *on = 0 : pin; }
API int rtlsdr_set_gpio_byte(rtlsdr_dev_t *dev, int value) { return dev ? 0 : value; }
API int rtlsdr_get_gpio_byte(rtlsdr_dev_t *dev, int *value) { return dev && value ? *value = 0 : -1; }
API int rtlsdr_set_gpio_status(rtlsdr_dev_t *dev, int *value) { return dev && value ? *value = 0 : -1; }
#endif

/* ---- streaming ---- */

API int rtlsdr_reset_buffer(rtlsdr_dev_t *dev)
{
    if (!dev)
        return -1;
    drain_server(dev);
    return 0;
}

/* Fill `buffer` from file or server (in test mode: with the counter); fewer bytes than asked for only at the end. */
static size_t play(rtlsdr_dev_t *dev, unsigned char *buffer, size_t length)
{
    size_t done = 0, got, i;
    ssize_t heard;
    int rewound = 0;
    if (dev->testmode) {
        for (i = 0; i < length; i++)
            buffer[i] = dev->counter++;
        return length;
    }
    if (dev->server >= 0) {
        heard = recv(dev->server, buffer, length, MSG_WAITALL);
        return heard > 0 ? (size_t)heard : 0;
    }
    while (done < length && dev->samples) {
        got = fread(buffer + done, 1, length - done, dev->samples);
        done += got;
        if (got > 0) {
            rewound = 0;
        } else if (dev->settings.loop && !rewound) {
            rewind(dev->samples);
            rewound = 1;
        } else {
            break;
        }
    }
    for (i = 0; i < done; i++)
        buffer[i] = dev->scaled[buffer[i]];
    return done;
}

static void sleep_until(const struct timespec *start, double after_s, volatile int *cancelled)
{
    struct timespec now;
    double left_s;
    for (;;) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        left_s = after_s - (double)(now.tv_sec - start->tv_sec) - 1e-9 * (double)(now.tv_nsec - start->tv_nsec);
        if (left_s <= 0 || *cancelled)
            return;
        usleep((useconds_t)(1e6 * (left_s < 0.05 ? left_s : 0.05)) + 1);
    }
}

static int unplug(rtlsdr_dev_t *dev)
{
    pthread_mutex_lock(&unplugged_lock);
    unplugged = dev->settings.version;
    pthread_mutex_unlock(&unplugged_lock);
    dev->lost = 1;
    return dev->settings.unplug_status;
}

static int stream(rtlsdr_dev_t *dev, read_callback callback, void *context, unsigned char *buffer, size_t length)
{
    const struct settings *settings = &dev->settings;
    struct timespec start;
    long played = 0, transfer = 0;
    size_t got;
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (!dev->cancelled && played + (long)length <= settings->limit_bytes) {
        if (settings->unplug_after >= 0 && played >= settings->unplug_after)
            return unplug(dev);
        if (settings->stall_after >= 0 && played >= settings->stall_after) {
            usleep(2000);
            continue;
        }
        if (settings->lose_every && transfer % settings->lose_every == settings->lose_every - 1)
            played += (long)play(dev, buffer, OVERFLOW);
        got = play(dev, buffer, length);
        if (got == 0)
            return 0;
        played += (long)got;
        transfer++;
        if (settings->real_time)
            sleep_until(&start, (double)played / 2.0 / dev->rate_hz, &dev->cancelled);
        if (settings->short_every && transfer % settings->short_every == 0)
            got /= 2;
        if (!dev->cancelled)
            callback(buffer, (uint32_t)got, context);
    }
    return 0;
}

API int rtlsdr_read_async(rtlsdr_dev_t *dev, read_callback callback, void *context, uint32_t count, uint32_t length)
{
    size_t transfer = length > 0 && length % 512 == 0 ? length : DEFAULT_TRANSFER;
    unsigned char *buffer;
    int status;
    (void)count;
    if (!dev || dev->reading)
        return -2;
    if (dev->lost)
        return -4;
    buffer = malloc(transfer);
    dev->cancelled = 0;
    dev->reading = 1;
    status = stream(dev, callback, context, buffer, transfer);
    dev->reading = 0;
    free(buffer);
    return status;
}

API int rtlsdr_wait_async(rtlsdr_dev_t *dev, read_callback callback, void *context)
{
    return rtlsdr_read_async(dev, callback, context, 0, 0);
}

API int rtlsdr_cancel_async(rtlsdr_dev_t *dev)
{
    if (!dev || !dev->reading)
        return -2;
    dev->cancelled = 1;
    return 0;
}

API int rtlsdr_read_sync(rtlsdr_dev_t *dev, void *buffer, int length, int *got)
{
    if (!dev || dev->lost)
        return -4;
    *got = (int)play(dev, buffer, (size_t)length);
    return 0;
}
