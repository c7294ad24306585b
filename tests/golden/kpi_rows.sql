-- applications_without_score denominator, all all
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_decision AS behind 
WHERE behind.first_submitted_on <= :param_1 AND behind.score IS NULL AND behind.currency = :param_2;
GO
-- approval_rate numerator, all all
-- approval_rate numerator, product all
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_decision AS behind 
WHERE behind.decision != :param_1 AND behind.decided_on >= :param_2 AND behind.decided_on < :param_3 AND behind.decided_on <= :param_4 AND behind.first_submitted_on <= :param_5 AND behind.currency = :param_6 AND behind.decision = :param_7;
GO
-- approval_rate numerator, product 3
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_decision AS behind 
WHERE behind.decision != :param_1 AND behind.decided_on >= :param_2 AND behind.decided_on < :param_3 AND behind.decided_on <= :param_4 AND behind.first_submitted_on <= :param_5 AND behind.currency = :param_6 AND behind.decision = :param_7 AND behind.product_code = :param_8;
GO
-- approval_rate denominator, all all
-- approval_rate denominator, product all
-- time_to_decision_net_p50 denominator, all all
-- time_to_decision_net_p50 denominator, product all
-- time_to_decision_net_p95 denominator, all all
-- time_to_decision_net_p95 denominator, product all
-- time_to_decision_p50 denominator, all all
-- time_to_decision_p50 denominator, product all
-- time_to_decision_p95 denominator, all all
-- time_to_decision_p95 denominator, product all
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_decision AS behind 
WHERE behind.decision != :param_1 AND behind.decided_on >= :param_2 AND behind.decided_on < :param_3 AND behind.decided_on <= :param_4 AND behind.first_submitted_on <= :param_5 AND behind.currency = :param_6;
GO
-- approval_rate denominator, product 3
-- time_to_decision_net_p50 denominator, product 3
-- time_to_decision_net_p95 denominator, product 3
-- time_to_decision_p50 denominator, product 3
-- time_to_decision_p95 denominator, product 3
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_decision AS behind 
WHERE behind.decision != :param_1 AND behind.decided_on >= :param_2 AND behind.decided_on < :param_3 AND behind.decided_on <= :param_4 AND behind.first_submitted_on <= :param_5 AND behind.currency = :param_6 AND behind.product_code = :param_7;
GO
-- average_ticket numerator, all all
-- average_ticket numerator, product all
-- booked_volume numerator, all all
-- booked_volume numerator, product all
SELECT coalesce(sum(behind.amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_transaction AS behind 
WHERE behind.effect = :param_1 AND (behind.is_dated IS NULL OR behind.is_dated = :param_2) AND behind.is_reversal = :param_3 AND (behind.reversed_on IS NULL OR behind.reversed_on > :param_4) AND behind.effective_on >= :param_5 AND behind.effective_on < :param_6 AND behind.effective_on <= :param_7 AND behind.currency = :param_8;
GO
-- average_ticket numerator, product 3
-- booked_volume numerator, product 3
SELECT coalesce(sum(behind.amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_transaction AS behind 
WHERE behind.effect = :param_1 AND (behind.is_dated IS NULL OR behind.is_dated = :param_2) AND behind.is_reversal = :param_3 AND (behind.reversed_on IS NULL OR behind.reversed_on > :param_4) AND behind.effective_on >= :param_5 AND behind.effective_on < :param_6 AND behind.effective_on <= :param_7 AND behind.currency = :param_8 AND behind.product_code = :param_9;
GO
-- average_ticket denominator, all all
-- average_ticket denominator, product all
-- booked_volume denominator, all all
-- booked_volume denominator, product all
SELECT count(DISTINCT behind.loan_hk) AS total, count(*) AS row_count 
FROM dm.fact_loan_transaction AS behind 
WHERE behind.effect = :param_1 AND (behind.is_dated IS NULL OR behind.is_dated = :param_2) AND behind.is_reversal = :param_3 AND (behind.reversed_on IS NULL OR behind.reversed_on > :param_4) AND behind.effective_on >= :param_5 AND behind.effective_on < :param_6 AND behind.effective_on <= :param_7 AND behind.currency = :param_8;
GO
-- average_ticket denominator, product 3
-- booked_volume denominator, product 3
SELECT count(DISTINCT behind.loan_hk) AS total, count(*) AS row_count 
FROM dm.fact_loan_transaction AS behind 
WHERE behind.effect = :param_1 AND (behind.is_dated IS NULL OR behind.is_dated = :param_2) AND behind.is_reversal = :param_3 AND (behind.reversed_on IS NULL OR behind.reversed_on > :param_4) AND behind.effective_on >= :param_5 AND behind.effective_on < :param_6 AND behind.effective_on <= :param_7 AND behind.currency = :param_8 AND behind.product_code = :param_9;
GO
-- backlog_age_average numerator, all all
-- backlog_age_average numerator, product all
SELECT coalesce(sum(CAST(DATEDIFF(day, behind.first_submitted_on, :param_1) AS BIGINT)), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_decision AS behind 
WHERE behind.first_submitted_on <= :param_2 AND (behind.decided_on IS NULL OR behind.decided_on > :param_3) AND (behind.withdrawn_at IS NULL OR behind.withdrawn_at >= :param_4) AND (behind.expired_at IS NULL OR behind.expired_at >= :param_5) AND behind.currency = :param_6;
GO
-- backlog_age_average numerator, product 3
SELECT coalesce(sum(CAST(DATEDIFF(day, behind.first_submitted_on, :param_1) AS BIGINT)), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_decision AS behind 
WHERE behind.first_submitted_on <= :param_2 AND (behind.decided_on IS NULL OR behind.decided_on > :param_3) AND (behind.withdrawn_at IS NULL OR behind.withdrawn_at >= :param_4) AND (behind.expired_at IS NULL OR behind.expired_at >= :param_5) AND behind.currency = :param_6 AND behind.product_code = :param_7;
GO
-- backlog_age_average denominator, all all
-- backlog_age_average denominator, product all
-- backlog_age_p50 denominator, all all
-- backlog_age_p50 denominator, product all
-- backlog_age_p95 denominator, all all
-- backlog_age_p95 denominator, product all
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_decision AS behind 
WHERE behind.first_submitted_on <= :param_1 AND (behind.decided_on IS NULL OR behind.decided_on > :param_2) AND (behind.withdrawn_at IS NULL OR behind.withdrawn_at >= :param_3) AND (behind.expired_at IS NULL OR behind.expired_at >= :param_4) AND behind.currency = :param_5;
GO
-- backlog_age_average denominator, product 3
-- backlog_age_p50 denominator, product 3
-- backlog_age_p95 denominator, product 3
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_decision AS behind 
WHERE behind.first_submitted_on <= :param_1 AND (behind.decided_on IS NULL OR behind.decided_on > :param_2) AND (behind.withdrawn_at IS NULL OR behind.withdrawn_at >= :param_3) AND (behind.expired_at IS NULL OR behind.expired_at >= :param_4) AND behind.currency = :param_5 AND behind.product_code = :param_6;
GO
-- dpd_bucket_share numerator, bucket all
-- dpd_bucket_share denominator, bucket all
-- dpd_bucket_share denominator, bucket 3
-- par_0 denominator, all all
-- par_0 denominator, product all
-- par_0_restructured denominator, all all
-- par_0_restructured denominator, product all
-- par_30 denominator, all all
-- par_30 denominator, product all
-- par_30_restructured denominator, all all
-- par_30_restructured denominator, product all
-- par_60 denominator, all all
-- par_60 denominator, product all
-- par_60_restructured denominator, all all
-- par_60_restructured denominator, product all
-- par_90 denominator, all all
-- par_90 denominator, product all
-- par_90_restructured denominator, all all
-- par_90_restructured denominator, product all
SELECT coalesce(sum(behind.outstanding_principal), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4;
GO
-- dpd_bucket_share numerator, bucket 3
SELECT coalesce(sum(behind.outstanding_principal), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.bucket = :param_5;
GO
-- expected_loss denominator, all all
-- expected_loss denominator, product all
-- expected_loss denominator, ifrs9_stage all
-- expected_loss_rate denominator, all all
-- expected_loss_rate denominator, product all
-- expected_loss_rate denominator, ifrs9_stage all
SELECT coalesce(sum(behind.exposure_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.probability_of_default IS NOT NULL;
GO
-- expected_loss denominator, product 3
-- expected_loss_rate denominator, product 3
SELECT coalesce(sum(behind.exposure_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.probability_of_default IS NOT NULL AND behind.product_code = :param_5;
GO
-- expected_loss denominator, ifrs9_stage stage 3
-- expected_loss_rate denominator, ifrs9_stage stage 3
SELECT coalesce(sum(behind.exposure_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.probability_of_default IS NOT NULL AND behind.ifrs9_stage = :param_5;
GO
-- exposure numerator, all all
-- exposure numerator, product all
-- hhi denominator, borrower all
-- hhi denominator, product all
-- ten_largest_share denominator, borrower all
-- ten_largest_share denominator, product all
SELECT coalesce(sum(behind.exposure_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4;
GO
-- exposure numerator, product 3
-- hhi denominator, product 3
-- ten_largest_share denominator, product 3
SELECT coalesce(sum(behind.exposure_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.product_code = :param_5;
GO
-- exposure denominator, all all
-- exposure denominator, product all
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4;
GO
-- exposure denominator, product 3
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.product_code = :param_5;
GO
-- hhi denominator, borrower 3
-- ten_largest_share denominator, borrower 3
SELECT coalesce(sum(behind.exposure_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.borrower_hk = :param_5;
GO
-- loans_without_classification_date denominator, all all
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status != :param_4 AND behind.is_classification_dated = :param_5;
GO
-- loans_without_disbursement_date denominator, all all
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status != :param_4 AND behind.disbursed_on IS NULL;
GO
-- loans_without_parameters denominator, all all
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.probability_of_default IS NULL;
GO
-- npl_ratio numerator, all all
-- npl_ratio numerator, product all
SELECT coalesce(sum(behind.gross_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.is_non_performing = :param_5;
GO
-- npl_ratio numerator, product 3
SELECT coalesce(sum(behind.gross_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.is_non_performing = :param_5 AND behind.product_code = :param_6;
GO
-- npl_ratio denominator, all all
-- npl_ratio denominator, product all
SELECT coalesce(sum(behind.gross_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4;
GO
-- npl_ratio denominator, product 3
SELECT coalesce(sum(behind.gross_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.product_code = :param_5;
GO
-- par_0 numerator, all all
-- par_0 numerator, product all
-- par_30 numerator, all all
-- par_30 numerator, product all
-- par_60 numerator, all all
-- par_60 numerator, product all
-- par_90 numerator, all all
-- par_90 numerator, product all
SELECT coalesce(sum(behind.outstanding_principal), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.days_past_due > :param_5;
GO
-- par_0 numerator, product 3
-- par_30 numerator, product 3
-- par_60 numerator, product 3
-- par_90 numerator, product 3
SELECT coalesce(sum(behind.outstanding_principal), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.days_past_due > :param_5 AND behind.product_code = :param_6;
GO
-- par_0 denominator, product 3
-- par_0_restructured denominator, product 3
-- par_30 denominator, product 3
-- par_30_restructured denominator, product 3
-- par_60 denominator, product 3
-- par_60_restructured denominator, product 3
-- par_90 denominator, product 3
-- par_90_restructured denominator, product 3
SELECT coalesce(sum(behind.outstanding_principal), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.product_code = :param_5;
GO
-- par_0_restructured numerator, all all
-- par_0_restructured numerator, product all
-- par_30_restructured numerator, all all
-- par_30_restructured numerator, product all
-- par_60_restructured numerator, all all
-- par_60_restructured numerator, product all
-- par_90_restructured numerator, all all
-- par_90_restructured numerator, product all
SELECT coalesce(sum(behind.outstanding_principal), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.days_past_due <= :param_5 AND behind.is_restructured = :param_6;
GO
-- par_0_restructured numerator, product 3
-- par_30_restructured numerator, product 3
-- par_60_restructured numerator, product 3
-- par_90_restructured numerator, product 3
SELECT coalesce(sum(behind.outstanding_principal), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.days_past_due <= :param_5 AND behind.is_restructured = :param_6 AND behind.product_code = :param_7;
GO
-- psi denominator, all all
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_decision AS behind 
WHERE behind.score IS NOT NULL AND behind.first_submitted_on >= :param_1 AND behind.first_submitted_on < :param_2 AND behind.first_submitted_on <= :param_3 AND behind.currency = :param_4;
GO
-- pull_through numerator, all all
-- pull_through numerator, product all
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_decision AS behind 
WHERE behind.first_submitted_on >= :param_1 AND behind.first_submitted_on < :param_2 AND behind.first_submitted_on <= :param_3 AND behind.currency = :param_4 AND behind.booked_on <= :param_5;
GO
-- pull_through numerator, product 3
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_decision AS behind 
WHERE behind.first_submitted_on >= :param_1 AND behind.first_submitted_on < :param_2 AND behind.first_submitted_on <= :param_3 AND behind.currency = :param_4 AND behind.booked_on <= :param_5 AND behind.product_code = :param_6;
GO
-- pull_through denominator, all all
-- pull_through denominator, product all
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_decision AS behind 
WHERE behind.first_submitted_on >= :param_1 AND behind.first_submitted_on < :param_2 AND behind.first_submitted_on <= :param_3 AND behind.currency = :param_4;
GO
-- pull_through denominator, product 3
SELECT count(*) AS total, count(*) AS row_count 
FROM dm.fact_decision AS behind 
WHERE behind.first_submitted_on >= :param_1 AND behind.first_submitted_on < :param_2 AND behind.first_submitted_on <= :param_3 AND behind.currency = :param_4 AND behind.product_code = :param_5;
GO
-- roll_rate numerator, all all
SELECT coalesce(sum(behind.outstanding_principal), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.bucket = :param_5 AND (EXISTS (SELECT * 
FROM dm.fact_loan_month AS behind_0 
WHERE behind_0.loan_hk = behind.loan_hk AND behind_0.snapshot_kind = :param_6 AND behind_0.snapshot_date = :param_7 AND behind_0.bucket = :param_8));
GO
-- roll_rate denominator, all all
SELECT coalesce(sum(behind.outstanding_principal), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.bucket = :param_5 AND (EXISTS (SELECT * 
FROM dm.fact_loan_month AS behind_0 
WHERE behind_0.loan_hk = behind.loan_hk AND behind_0.snapshot_kind = :param_6 AND behind_0.snapshot_date = :param_7));
GO
-- ten_largest_share numerator, borrower all
SELECT coalesce(sum(behind.exposure_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.borrower_hk IN (SELECT TOP 10 ranked.borrower_hk 
FROM dm.fact_loan_month AS ranked 
WHERE ranked.snapshot_kind = :param_6 AND ranked.snapshot_date = :param_7 AND ranked.currency = :param_8 AND ranked.status = :param_9 GROUP BY ranked.borrower_hk ORDER BY sum(ranked.exposure_amount) DESC, ranked.borrower_hk);
GO
-- ten_largest_share numerator, borrower 3
SELECT coalesce(sum(behind.exposure_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.borrower_hk = :param_5 AND behind.borrower_hk IN (SELECT TOP 10 ranked.borrower_hk 
FROM dm.fact_loan_month AS ranked 
WHERE ranked.snapshot_kind = :param_7 AND ranked.snapshot_date = :param_8 AND ranked.currency = :param_9 AND ranked.status = :param_10 AND ranked.borrower_hk = :param_11 GROUP BY ranked.borrower_hk ORDER BY sum(ranked.exposure_amount) DESC, ranked.borrower_hk);
GO
-- ten_largest_share numerator, product all
SELECT coalesce(sum(behind.exposure_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.product_code IN (SELECT TOP 10 ranked.product_code 
FROM dm.fact_loan_month AS ranked 
WHERE ranked.snapshot_kind = :param_6 AND ranked.snapshot_date = :param_7 AND ranked.currency = :param_8 AND ranked.status = :param_9 GROUP BY ranked.product_code ORDER BY sum(ranked.exposure_amount) DESC, ranked.product_code);
GO
-- ten_largest_share numerator, product 3
SELECT coalesce(sum(behind.exposure_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.currency = :param_3 AND behind.status = :param_4 AND behind.product_code = :param_5 AND behind.product_code IN (SELECT TOP 10 ranked.product_code 
FROM dm.fact_loan_month AS ranked 
WHERE ranked.snapshot_kind = :param_7 AND ranked.snapshot_date = :param_8 AND ranked.currency = :param_9 AND ranked.status = :param_10 AND ranked.product_code = :param_11 GROUP BY ranked.product_code ORDER BY sum(ranked.exposure_amount) DESC, ranked.product_code);
GO
-- vintage numerator, all all
SELECT coalesce(sum(behind.originated_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.status != :param_3 AND behind.disbursed_on >= :param_4 AND behind.disbursed_on < :param_5 AND behind.currency = :param_6 AND (EXISTS (SELECT * 
FROM dm.fact_loan_outcome AS behind_0 
WHERE behind_0.loan_hk = behind.loan_hk AND behind_0.bad_on < :param_7));
GO
-- vintage denominator, all all
-- vintage_written_off denominator, all all
SELECT coalesce(sum(behind.originated_amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date = :param_2 AND behind.status != :param_3 AND behind.disbursed_on >= :param_4 AND behind.disbursed_on < :param_5 AND behind.currency = :param_6;
GO
-- vintage_written_off numerator, all all
SELECT coalesce(sum(behind.amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_transaction AS behind 
WHERE behind.effect = :param_1 AND behind.effective_on < :param_2 AND behind.currency = :param_3 AND (EXISTS (SELECT * 
FROM dm.fact_loan_month AS behind_0 
WHERE behind_0.loan_hk = behind.loan_hk AND behind_0.snapshot_kind = :param_4 AND behind_0.snapshot_date = :param_5 AND behind_0.status != :param_6 AND behind_0.disbursed_on >= :param_7 AND behind_0.disbursed_on < :param_8));
GO
-- write_off_rate_gross numerator, all all
-- write_off_rate_gross numerator, product all
SELECT coalesce(sum(behind.amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_transaction AS behind 
WHERE behind.effect = :param_1 AND behind.effective_on <= :param_2 AND behind.effective_on >= :param_3 AND behind.currency = :param_4;
GO
-- write_off_rate_gross numerator, product 3
SELECT coalesce(sum(behind.amount), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_transaction AS behind 
WHERE behind.effect = :param_1 AND behind.effective_on <= :param_2 AND behind.effective_on >= :param_3 AND behind.currency = :param_4 AND behind.product_code = :param_5;
GO
-- write_off_rate_gross denominator, all all
-- write_off_rate_gross denominator, product all
-- write_off_rate_net denominator, all all
-- write_off_rate_net denominator, product all
SELECT coalesce(CAST(CAST(sum(behind.gross_amount) AS NUMERIC(38, 10)) / (nullif(count(DISTINCT behind.snapshot_date), :nullif_1) + 0.0) AS NUMERIC(38, 4)), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date <= :param_2 AND behind.snapshot_date >= :param_3 AND behind.currency = :param_4;
GO
-- write_off_rate_gross denominator, product 3
-- write_off_rate_net denominator, product 3
SELECT coalesce(CAST(CAST(sum(behind.gross_amount) AS NUMERIC(38, 10)) / (nullif(count(DISTINCT behind.snapshot_date), :nullif_1) + 0.0) AS NUMERIC(38, 4)), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_1 AND behind.snapshot_date <= :param_2 AND behind.snapshot_date >= :param_3 AND behind.currency = :param_4 AND behind.product_code = :param_5;
GO
-- write_off_rate_net numerator, all all
-- write_off_rate_net numerator, product all
SELECT coalesce(sum(CASE WHEN (behind.effect = :param_1) THEN -behind.amount ELSE behind.amount END), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_transaction AS behind 
WHERE (behind.effect = :param_2 OR behind.effect = :param_3) AND behind.effective_on <= :param_4 AND behind.effective_on >= :param_5 AND behind.currency = :param_6;
GO
-- write_off_rate_net numerator, product 3
SELECT coalesce(sum(CASE WHEN (behind.effect = :param_1) THEN -behind.amount ELSE behind.amount END), :coalesce_1) AS total, count(*) AS row_count 
FROM dm.fact_loan_transaction AS behind 
WHERE (behind.effect = :param_2 OR behind.effect = :param_3) AND behind.effective_on <= :param_4 AND behind.effective_on >= :param_5 AND behind.currency = :param_6 AND behind.product_code = :param_7;
GO
-- a page of exposure
SELECT TOP 100 behind.loan_id, (SELECT applications.application_id 
FROM dm.fact_decision AS applications 
WHERE applications.application_hk = behind.application_hk) AS application_id, behind.product_code, behind.days_past_due, behind.bucket, behind.ifrs9_stage, behind.outstanding_principal, behind.accrued_interest, behind.undrawn_amount, behind.exposure_amount, behind.snapshot_kind AS key_snapshot_kind, behind.snapshot_date AS key_snapshot_date, behind.loan_hk AS key_loan_hk 
FROM dm.fact_loan_month AS behind 
WHERE behind.snapshot_kind = :param_2 AND behind.snapshot_date = :param_3 AND behind.currency = :param_4 AND behind.status = :param_5 AND (behind.snapshot_kind > :param_6 OR behind.snapshot_kind = :param_6 AND behind.snapshot_date > :param_7 OR behind.snapshot_kind = :param_6 AND behind.snapshot_date = :param_7 AND behind.loan_hk > :param_8) ORDER BY behind.snapshot_kind, behind.snapshot_date, behind.loan_hk;
GO
-- a page of pull_through
SELECT TOP 100 behind.application_id, behind.loan_id, behind.product_code, behind.channel, behind.state, behind.decision, behind.requested_amount, behind.first_submitted_on, behind.decided_on, behind.booked_on, behind.application_hk AS key_application_hk 
FROM dm.fact_decision AS behind 
WHERE behind.first_submitted_on >= :param_2 AND behind.first_submitted_on < :param_3 AND behind.first_submitted_on <= :param_4 AND behind.currency = :param_5 AND behind.booked_on <= :param_6 AND behind.application_hk > :param_7 ORDER BY behind.application_hk;
GO
-- a page of booked_volume
SELECT TOP 100 behind.transaction_id, behind.loan_id, (SELECT applications.application_id 
FROM dm.fact_decision AS applications 
WHERE applications.application_hk = behind.application_hk) AS application_id, behind.product_code, behind.effect, behind.amount, behind.effective_on, behind.is_reversal, behind.reversed_on, behind.transaction_id AS key_transaction_id 
FROM dm.fact_loan_transaction AS behind 
WHERE behind.effect = :param_2 AND (behind.is_dated IS NULL OR behind.is_dated = :param_3) AND behind.is_reversal = :param_4 AND (behind.reversed_on IS NULL OR behind.reversed_on > :param_5) AND behind.effective_on >= :param_6 AND behind.effective_on < :param_7 AND behind.effective_on <= :param_8 AND behind.currency = :param_9 AND behind.transaction_id > :param_10 ORDER BY behind.transaction_id;
GO
