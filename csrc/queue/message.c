/* message.c -- letting go of a message. */
#include "queue/message.h"

void ps_message_clear(ps_message *message)
{
    ps_batch_release(message->batch);
    ps_selection_release(message->selection);
    *message = (ps_message){.kind = PS_MESSAGE_NONE};
}
