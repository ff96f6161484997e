"""Words of other tools for our options: what a key that we do not have probably means.

From the command lines and configs of transformers, fairseq, torchtune, Lightning and the papers of published models.
"""

from collections.abc import Iterable

# What is meant, the likelier first -> words for it. A word stands at the end of a key of any length: `lr`, `training.lr`, `--lr`.
_MEANT = {
    ("name",): "output_dir run_name experiment_name exp_name wandb_name save_dir log_dir",
    ("resume",): "resume_from_checkpoint resume_from checkpoint ckpt ckpt_path restore_file load_checkpoint",
    ("seed",): "random_seed manual_seed random_state",
    ("task",): "task_name",
    ("model.dim",): "hidden_size d_model n_embd embed_dim embed_size hidden_dim model_dim width dim hidden",
    ("model.num_layers",): "depth n_layers n_layer layers num_hidden_layers encoder_layers num_encoder_layers nlayers num_blocks",
    ("model.num_decoder_layers",): "decoder_layers n_decoder_layers",
    ("model.num_heads",): "heads n_heads n_head nhead num_attention_heads attention_heads encoder_attention_heads",
    ("model.attention.num_kv_heads",): "kv_heads n_kv_heads num_key_value_heads num_query_groups",
    ("model.attention.head_dim",): "d_kv head_size dim_head kv_channels",
    (
        "model.feed_forward.hidden",
    ): "intermediate_size d_ff ffn_dim dim_feedforward n_inner ffn_hidden_size encoder_ffn_dim d_inner mlp_dim",
    ("model.feed_forward.activation",): "hidden_act activation activation_function feed_forward_proj act_fn nonlinearity",
    (
        "model.dropout",
    ): "dropout_rate dropout_prob hidden_dropout_prob hidden_dropout resid_pdrop embd_pdrop resid_dropout p_dropout dropout",
    ("model.attention.weights_dropout",): "attention_dropout attention_probs_dropout_prob attn_pdrop attn_dropout",
    ("model.epsilon",): "layer_norm_eps norm_eps rms_norm_eps layer_norm_epsilon norm_epsilon",
    ("model.initial_std",): "initializer_range init_std initial_range",
    ("model.max_length",): "max_seq_length max_seq_len seq_len seq_length sequence_length block_size context_length context_window "
    "max_position_embeddings n_positions n_ctx model_max_length max_source_length max_len max_source_positions max_length",
    ("model.pad_vocab_to_multiple_of",): "pad_to_multiple_of padding_multiple vocab_multiple make_vocab_size_divisible_by",
    ("model.position.base",): "rope_theta rotary_base",
    ("model.tied",): "tie_word_embeddings tie_embeddings share_embeddings",
    (
        "model.pretrained",
    ): "model_name model_name_or_path pretrained_model pretrained_model_name_or_path from_pretrained base_model pretrained "
    "init_from init_checkpoint finetune_from_model",
    ("model.freeze",): "freeze_layers freeze_encoder frozen",
    ("model.adapter.rank",): "lora_rank lora_r",
    ("model.adapter.alpha",): "lora_alpha",
    ("tokenizer.vocab_size",): "vocabulary_size vocabulary vocab n_vocab num_tokens vocab_size",
    ("tokenizer.lowercase",): "do_lower_case lower_case uncased",
    ("tokenizer.file",): "tokenizer_name tokenizer_name_or_path tokenizer_path tokenizer_file",
    ("optimizer",): "optim optimizer_name optimizer_type",
    ("optimizer.lr",): "learning_rate lr max_lr peak_lr base_lr learningrate",
    ("optimizer.weight_decay",): "wd decay l2 weight_decay",
    ("optimizer.betas",): "adam_betas beta1 beta2 adam_beta1 adam_beta2 betas",
    ("optimizer.eps",): "adam_eps adam_epsilon epsilon eps",
    ("optimizer.momentum",): "momentum",
    ("optimizer.layer_decay",): "layerwise_lr_decay llrd layer_lr_decay lr_layer_decay",
    ("schedule",): "scheduler lr_scheduler lr_scheduler_type lr_schedule scheduler_type",
    ("schedule.warmup",): "warmup_steps num_warmup_steps warmup_updates warmup_ratio warmup_iters n_warmup_steps warmup_epochs warmup",
    ("schedule.floor",): "min_lr lr_min eta_min end_learning_rate",
    ("trainer.max_epochs",): "epochs num_epochs n_epochs num_train_epochs nepochs epoch num_epoch",
    ("trainer.max_steps",): "steps num_steps n_steps max_update max_updates max_iters num_training_steps total_steps train_steps",
    ("trainer.accumulate_grad_batches",): "gradient_accumulation_steps accumulation_steps grad_accum accumulate update_freq grad_acc_steps "
    "gradient_accumulation",
    ("trainer.gradient_clip_val",): "max_grad_norm clip_norm grad_clip gradient_clip clip clip_grad_norm gradient_clipping grad_norm",
    ("trainer.precision",): "fp16 bf16 amp mixed_precision dtype half torch_dtype",
    ("trainer.devices",): "gpus num_gpus n_gpu n_gpus ngpus num_devices world_size nproc_per_node",
    ("trainer.accelerator",): "device use_cuda no_cuda cuda use_cpu cpu",
    ("trainer.compile",): "torch_compile",
    ("trainer.val_check_interval",): "eval_steps eval_interval val_interval validation_interval evaluation_steps eval_every",
    ("trainer.check_val_every_n_epoch",): "eval_epochs",
    ("trainer.log_every_n_steps",): "logging_steps log_interval log_every log_steps",
    ("callbacks.checkpoint.every_n_train_steps",): "save_steps save_interval save_every checkpoint_every",
    ("callbacks.early_stopping.patience",): "patience early_stopping_patience early_stopping",
    ("callbacks.average.decay",): "ema ema_decay",
    ("data.train",): "train_file train_data train_path data_path data_file training_data trainpref train_dataset input_file",
    ("data.validation",): "validation_file dev_file valid_file eval_file val_file dev validpref val_data eval_data",
    ("data.test",): "test_file test_data testpref test_path",
    ("data.folder",): "data_dir dataset_dir data_root",
    ("data.path",): "dataset dataset_name hf_dataset",
    ("data.limit",): "max_train_samples max_samples num_samples subset max_examples",
    ("data.workers",): "num_workers dataloader_num_workers n_workers num_proc",
    ("data.validation_share",): "val_split validation_split val_ratio dev_ratio val_size",
    ("data.columns.text",): "text_column text_col text_column_name text_field",
    ("data.columns.label",): "label_column label_col label_column_name target_column",
    ("data/batches=rows data.batches.rows", "data.batches.rows"): "batch_size bs batchsize train_batch_size per_device_train_batch_size "
    "per_gpu_train_batch_size micro_batch_size global_batch_size",
    ("data.batches.budget",): "max_tokens tokens_per_batch batch_tokens max_tokens_per_batch",
    ("task.label_smoothing",): "label_smoothing label_smoothing_factor smoothing",
    ("task.pooling",): "pooling pooler_type pooling_mode",
    ("task.decoding.max_new_tokens",): "max_new_tokens max_gen_len max_target_length max_decode_length generation_max_length max_tgt_len",
    ("task.decoding.min_new_tokens",): "min_new_tokens min_gen_len min_length",
    ("task/decoding=beam task.decoding.num_beams",): "num_beams beam_size beam beams generation_num_beams beam_width",
    ("task/decoding=beam task.decoding.length_penalty",): "length_penalty lenpen",
    ("task/decoding=sampling task.decoding.temperature",): "temperature temp",
    ("task/decoding=sampling task.decoding.top_k",): "top_k topk",
    ("task/decoding=sampling task.decoding.top_p",): "top_p topp nucleus",
    ("task.decoding.no_repeat_ngram_size",): "no_repeat_ngram_size no_repeat_ngram",
    ("task.teacher",): "teacher teacher_model teacher_name",
    ("logger.wandb.project",): "wandb_project project project_name",
    ("logger",): "report_to loggers tracker",
}
# Words that are true or false, where our option takes a name or a number -> its values for true and for false.
_FLAGS = {
    **dict.fromkeys(("fp16", "amp", "mixed_precision", "half"), ("16-mixed", "32-true")),
    "bf16": ("bf16-mixed", "32-true"),
    **dict.fromkeys(("use_cuda", "cuda"), ("gpu", "cpu")),
    **dict.fromkeys(("no_cuda", "use_cpu", "cpu"), ("cpu", "auto")),
    "early_stopping": ("3", "null"),
}
MEANT = {word: ways for ways, words in _MEANT.items() for word in words.split()}


def meant(key: str, present: Iterable[str] = (), value: str = "VALUE") -> str | None:
    """`KEY=VALUE` of our option that a key of another tool stands for, as far as the table knows; None if it does not.

    present: the keys of the config. Where an option is chosen as well, as in `data/batches=rows data.batches.rows=32`, it is left out if
    the key is present.
    """
    word = key.lstrip("-+~").replace("/", ".").rpartition(".")[2].replace("-", "_").lower()
    known = set(present)
    for way in MEANT.get(word, ()):
        ours = way.rpartition(" ")[2]
        if ours != key.lstrip("+~"):
            if word in _FLAGS and value.lower() in ("true", "false"):
                value = _FLAGS[word][value.lower() == "false"]
            value = "[BETA1,BETA2]" if ours == "optimizer.betas" and not value.startswith("[") else value
            return f"{ours if ours in known else way}={value}"
    return None
